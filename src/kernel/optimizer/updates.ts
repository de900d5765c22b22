/** Steps of optimizers and averages: each tensor read and written once. Rates lie in memory, so that schedules move them. */
import {
  broadcastAt,
  type Int,
  type Vec,
  type VectorAssembler,
  type VectorTarget,
} from '../../assembler/vector-assembler.ts';
import type { OpAttrs } from '../../graph/graph.ts';
import { planElementMap } from '../elementwise/element-map.ts';
import type { BufferName, TaskPlan } from '../plan/plan.ts';

function constant(a: VectorAssembler, value: number): Vec {
  const vec = a.newVec();
  a.constant(vec, value);
  return vec;
}

/** Number `index` at the pointer in every lane, times a factor. */
function shared(a: VectorAssembler, pointer: Int | undefined, index = 0, factor = 1): Vec {
  const vec = constant(a, factor);
  if (pointer) a.binary('multiply', vec, vec, broadcastAt(pointer, index * 4));
  return vec;
}

/** Inputs average, value and, where the rate is not given, rate. Output average + rate·(factor·value − average). */
export function planLerp(target: VectorTarget, count: number, { rate, factor }: OpAttrs['lerp']): TaskPlan {
  return planElementMap(target, {
    name: `lerp_${rate ?? 'rate'}_${factor}`,
    count,
    inputs: ['input0', 'input1'],
    outputs: 1,
    shared: rate === null ? ['input2'] : [],
    flops: 4,
    prepare: (a, [pointer]) => [rate === null ? shared(a, pointer) : constant(a, rate), constant(a, factor)],
    emit: (a, [average, value], [share, times]) => {
      if (average === undefined || value === undefined || share === undefined || times === undefined)
        return [];
      if (factor !== 1) a.binary('multiply', value, value, times);
      a.binary('subtract', value, value, average);
      a.fma(average, value, share);
      return [average];
    },
  });
}

export interface StepTask {
  readonly count: number;
  /** Whether the last input is a factor of gradients. */
  readonly clipped: boolean;
}

/** Inputs parameter, gradient, velocity, rates, factor?; outputs parameter, velocity. @see OpAttrs.sgd */
export function planSgd(target: VectorTarget, { count, clipped }: StepTask, attrs: OpAttrs['sgd']): TaskPlan {
  const { momentum, nesterov, rateScale, decayScale } = attrs;
  return planElementMap(target, {
    name: `sgd_${momentum}${nesterov ? '_nesterov' : ''}_${rateScale}_${decayScale}${clipped ? '_clipped' : ''}`,
    count,
    inputs: ['input0', 'input1', 'input2'],
    outputs: 2,
    shared: rateInputs(3, clipped),
    flops: 8,
    prepare: (a, [rates, factor]) => [
      shared(a, rates, 0, -rateScale),
      shared(a, rates, 1, decayScale),
      constant(a, momentum),
      ...(clipped ? [shared(a, factor)] : []),
    ],
    emit: (a, [p, g, v], [rate, decay, kept, factor]) => {
      if (p === undefined || g === undefined || v === undefined) return [];
      if (rate === undefined || decay === undefined || kept === undefined) return [];
      if (factor !== undefined) a.binary('multiply', g, g, factor);
      if (decayScale !== 0) a.fma(g, p, decay);
      a.binary('multiply', v, v, kept);
      a.binary('add', v, v, g);
      if (nesterov) a.fma(g, v, kept);
      a.fma(p, nesterov ? g : v, rate);
      return [p, v];
    },
  });
}

/** Inputs parameter, gradient, first, second, rates, factor?; outputs parameter, first, second. @see OpAttrs.adamw */
export function planAdamw(
  target: VectorTarget,
  { count, clipped }: StepTask,
  attrs: OpAttrs['adamw'],
): TaskPlan {
  const { beta1, beta2, eps, rateScale, decayScale } = attrs;
  return planElementMap(target, {
    name: `adamw_${beta1}_${beta2}_${eps}_${rateScale}_${decayScale}${clipped ? '_clipped' : ''}`,
    count,
    inputs: ['input0', 'input1', 'input2', 'input3'],
    outputs: 3,
    shared: rateInputs(4, clipped),
    flops: 16,
    prepare: (a, [rates, factor]) => {
      // 1 − rate·decay, −rate/(1 − beta1^t), 1/√(1 − beta2^t)
      const [keep, decay] = [constant(a, 1), shared(a, rates, 0, -rateScale * decayScale)];
      const [step, root] = [shared(a, rates, 0, -rateScale), constant(a, 1)];
      if (rates) {
        a.fma(keep, decay, broadcastAt(rates, 4));
        a.binary('divide', step, step, broadcastAt(rates, 8));
        a.binary('divide', root, root, broadcastAt(rates, 12));
      }
      a.unary('squareRoot', root, root);
      a.freeVec(decay);
      const news = [constant(a, 1 - beta1), constant(a, 1 - beta2), constant(a, eps)];
      return [keep, step, root, ...news, ...(clipped ? [shared(a, factor)] : [])];
    },
    emit: (a, [p, g, m, v], prepared) => {
      const [keep, step, root, new1, new2, least, factor] = prepared;
      if (p === undefined || g === undefined || m === undefined || v === undefined) return [];
      if (keep === undefined || step === undefined || root === undefined) return [];
      if (new1 === undefined || new2 === undefined || least === undefined) return [];
      const value = a.newVec();
      if (factor !== undefined) a.binary('multiply', g, g, factor);
      a.binary('subtract', value, g, m);
      a.fma(m, value, new1);
      a.binary('multiply', g, g, g);
      a.binary('subtract', g, g, v);
      a.fma(v, g, new2);
      a.unary('squareRoot', value, v);
      a.binary('multiply', value, value, root);
      a.binary('add', value, value, least);
      a.binary('divide', value, m, value);
      a.binary('multiply', p, p, keep);
      a.fma(p, value, step);
      a.freeVec(value);
      return [p, m, v];
    },
  });
}

function rateInputs(first: number, clipped: boolean): readonly BufferName[] {
  return clipped ? [`input${first}`, `input${first + 1}`] : [`input${first}`];
}
