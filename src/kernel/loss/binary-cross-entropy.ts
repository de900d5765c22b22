import {
  at,
  broadcastAt,
  type Vec,
  type VectorAssembler,
  type VectorTarget,
} from '../../assembler/vector-assembler.ts';
import { arraySumTiles, emitArraySum, laneMask, partialCount } from '../elementwise/array-sums.ts';
import { planElementMap } from '../elementwise/element-map.ts';
import type { TaskPlan } from '../plan/plan.ts';
import { emitActivation, emitExp } from '../vector/activation.ts';
import { emitLog1p } from '../vector/logarithm.ts';

/** Inputs logits z and targets t; output [1] the mean of max(z, 0) − z·t + log(1 + e^−|z|). */
export function planBinaryCrossEntropy(target: VectorTarget, count: number): TaskPlan {
  const losses = {
    name: 'binaryCrossEntropy',
    count,
    inputs: ['input0', 'input1'] as const,
    mask: 'constant0' as const,
    emit: (a: VectorAssembler, [z, t]: readonly Vec[]): void => {
      if (z === undefined || t === undefined) return;
      const [value, zero] = [a.newVec(), a.newVec()];
      a.unary('absolute', value, z);
      a.unary('negate', value, value);
      emitExp(a, value);
      emitLog1p(a, value);
      a.binary('multiply', t, t, z);
      a.zero(zero);
      a.binary('maximum', z, zero, z);
      a.binary('subtract', z, z, t);
      a.binary('add', z, z, value);
      a.freeVec(value, zero);
    },
  };
  const partials = partialCount(count);
  const mean = {
    name: `f32_mean_${partials}_${count}__${target.name}`,
    generate: (a: VectorAssembler): void => {
      const [pointer, output] = [a.slot(1), a.slot(2)];
      const sum = emitArraySum(a, pointer, partials);
      const share = a.newVec();
      a.constant(share, 1 / count);
      a.binary('multiply', sum, sum, share);
      a.store(at(output), sum, 1);
      a.freeVec(sum, share);
      a.freeInt(pointer, output);
    },
  };
  const slots = (['scratch', 'output'] as const).map((buffer) => ({ buffer, offset: 0 }));
  return {
    constants: [laneMask(target, count)],
    scratchBytes: partials * 4,
    steps: [arraySumTiles(target, losses, 0), [{ kernel: mean, slots }]],
    flops: 32 * count,
  };
}

/** Inputs logits, targets, dloss [1]; output dloss/count·(σ(logits) − targets). */
export function planBinaryCrossEntropyGrad(target: VectorTarget, count: number): TaskPlan {
  return planElementMap(target, {
    name: `binaryCrossEntropyGrad_${count}`,
    count,
    inputs: ['input0', 'input1'],
    outputs: 1,
    shared: ['input2'],
    flops: 24,
    prepare: (a, [dloss]) => {
      const share = a.newVec();
      a.constant(share, 1 / count);
      if (dloss) a.binary('multiply', share, share, broadcastAt(dloss));
      return [share];
    },
    emit: (a, [z, t], [share]) => {
      if (z === undefined || t === undefined || share === undefined) return [];
      emitActivation(a, 'sigmoid', z);
      a.binary('subtract', z, z, t);
      a.binary('multiply', z, z, share);
      return [z];
    },
  });
}
