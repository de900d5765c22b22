/** Every way to compute gradients of convolutions on every machine here, against the reference's sums in f64. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Convolution } from '../../../test/cases/convolution-cases.ts';
import { gradientConvolutions } from '../../../test/cases/training-convolution.ts';
import { runGuarded } from '../../../test/support/guarded-plan.ts';
import { assertOneCodePerName } from '../../../test/support/kernel-names.ts';
import { allMachines, type TestMachine } from '../../../test/support/machines.ts';
import { normalTensor } from '../../../test/support/normal-tensor.ts';
import type { VectorTarget } from '../../assembler/vector-assembler.ts';
import { x64Target } from '../../assembler/x64/x64-target.ts';
import { convGradientRules } from '../../engine/reference/conv-gradients.ts';
import { ShapeError } from '../../errors.ts';
import { convGeometry, isCentred, pointGeometry, windowOutputSize } from '../../graph/geometry.ts';
import type { ValueId } from '../../graph/graph.ts';
import { createRandom } from '../../tensor/random.ts';
import { elementCount, type Shape, type Tensor } from '../../tensor/tensor.ts';
import type { KernelRow } from '../plan/kernel-row.ts';
import type { TaskPlan } from '../plan/plan.ts';
import { type ConvGradientTask, type InputGradTask, isDepthwiseGradient } from './conv-gradient-row.ts';
import { inputGradRows, planInputGrad, planWeightGrad, weightGradRows } from './conv-gradients.ts';

/** Ways to plan a gradient, and what it should give. */
interface Gradient {
  readonly name: string;
  readonly plans: readonly ((target: VectorTarget) => TaskPlan)[];
  readonly operands: readonly Tensor[];
  readonly expected: Tensor;
  /** Products in a sum. */
  readonly steps: number;
}

interface Case {
  readonly about: string;
  readonly gradients: readonly Gradient[];
}

const random = createRandom(21);
const normal = (shape: Shape): Tensor => normalTensor(shape, random);
const sums = (shape: Shape): Tensor => ({ shape, data: new Float64Array(elementCount(shape)) });
const ids = { name: '', inputs: [] as ValueId[], outputs: [] as ValueId[] };

interface Sizes {
  readonly task: ConvGradientTask;
  readonly outShape: Shape;
  readonly weightShape: Shape;
}

function sizesOf(c: Convolution): Sizes {
  const geometry = convGeometry(c);
  const { size = [5, 7], batch = 1, from, to } = c;
  return {
    task: { input: [batch, ...size, from], outChannels: to, geometry },
    outShape: [batch, ...windowOutputSize(geometry, ...size), to],
    weightShape: [to, from / geometry.groups, ...geometry.kernel],
  };
}

function rowPlans<Task>(rows: readonly KernelRow<Task>[], task: Task): Gradient['plans'] {
  return rows
    .filter(({ applies }) => applies(task))
    .map(
      ({ plan }) =>
        (target) =>
          plan(target, task),
    );
}

/** dx of some convolutions, as the reference adds them up. */
function inputGradient(name: string, { task, outShape, weightShape }: Sizes, whole: InputGradTask): Gradient {
  const { geometry, input } = task;
  const [, height = 0, width = 0] = input;
  const expected = sums(input);
  const operands = (whole.terms ?? ['window']).flatMap((term) => {
    const own = term === 'window' ? geometry : pointGeometry(geometry);
    const [dy, weight] = [normal(outShape), normal([...weightShape.slice(0, 2), ...own.kernel])];
    const dx = sums(input);
    const node = { kind: 'conv2dInputGrad', ...ids, attrs: { geometry: own, height, width } } as const;
    convGradientRules.conv2dInputGrad(node, [dy, weight], [dx]);
    for (const [i, value] of dx.data.entries()) expected.data[i] = (expected.data[i] ?? 0) + value;
    return [dy, weight];
  });
  const residual = whole.residual ? [normal(input)] : [];
  for (const { data } of residual)
    for (const [i, value] of data.entries()) expected.data[i] = (expected.data[i] ?? 0) + value;
  const steps = operands.reduce((sum, { shape }, i) => sum + (i % 2 ? elementCount(shape.slice(2)) : 0), 0);
  return {
    name,
    plans: rowPlans(inputGradRows, whole),
    operands: [...operands, ...residual],
    expected,
    steps: (steps * task.outChannels) / geometry.groups + 1,
  };
}

function weightGradient({ task, outShape, weightShape }: Sizes): Gradient {
  const [x, dy, expected] = [normal(task.input), normal(outShape), sums(weightShape)];
  const node = { kind: 'conv2dWeightGrad', ...ids, attrs: { geometry: task.geometry } } as const;
  convGradientRules.conv2dWeightGrad(node, [x, dy], [expected]);
  const steps = elementCount(outShape.slice(0, 3));
  return { name: 'by the weight', plans: rowPlans(weightGradRows, task), operands: [x, dy], expected, steps };
}

function makeCase(c: Convolution, index: number): Case {
  const sizes = sizesOf(c);
  const { task } = sizes;
  const gradients = [inputGradient('by the input', sizes, task), weightGradient(sizes)];
  if (isDepthwiseGradient(task) && isCentred(task.geometry)) {
    const residual = index % 2 === 0;
    const several: InputGradTask = { ...task, residual, terms: ['window', 'centre', 'window'] };
    gradients.push(inputGradient('by the input of several', sizes, several));
  }
  return { about: JSON.stringify(c), gradients };
}

const cases = gradientConvolutions.map(makeCase);
/** dx of 2 MiB. */
const large = makeCase({ from: 16, to: 16, groups: 16, kernel: 3, stride: 2, size: [128, 128], batch: 2 }, 1);

/** Sums of k products of about 1 each: |found − reference| ≤ 8·eps·√k·(√k + |reference|). */
function check(test: TestMachine, { about }: Case, gradient: Gradient, plan: TaskPlan): void {
  const { operands, expected, steps } = gradient;
  const inputs = operands.map(({ data }) => Float32Array.from(data));
  const found = runGuarded(test, plan, inputs, expected.data.length);
  const root = Math.sqrt(steps);
  for (const [i, value] of found.entries()) {
    const want = expected.data[i] ?? Number.NaN;
    const allowed = 8 * 2 ** -23 * root * (root + Math.abs(want));
    assert.ok(
      Math.abs(value - want) <= allowed,
      `${test.name} ${gradient.name} ${about} ${expected.shape}: ${i} is ${value}, expected ${want}`,
    );
  }
}

const machines = (await allMachines()).filter(({ name }) => !name.includes('without'));

for (const each of machines)
  describe(`gradients of convolutions on ${each.name}`, { skip: each.skip }, () => {
    if (each.skip !== false) return;
    for (const name of ['by the input', 'by the weight', 'by the input of several'])
      it(name, () => {
        let plans = 0;
        for (const one of cases)
          for (const gradient of one.gradients.filter((own) => own.name === name))
            for (const plan of gradient.plans) {
              const test = each.make();
              check(test, one, gradient, plan(test.machine.target));
              plans++;
            }
        assert.ok(plans > 60);
      });

    it('large results are written past the caches', () => {
      const test = each.make();
      if (test.machine.kind !== 'native') return;
      const [gradient] = large.gradients;
      assert.ok(gradient);
      for (const make of gradient.plans.slice(0, 1)) {
        const plan = make(test.machine.target);
        assert.ok(plan.steps.flat().some(({ kernel }) => kernel.name.includes('_past')));
        check(test, large, gradient, plan);
      }
    });

    it('the order of tiles changes no bit', () => {
      for (const one of cases.filter((_, i) => i % 7 === 0))
        for (const gradient of one.gradients)
          for (const make of gradient.plans) {
            const test = each.make();
            const inputs = gradient.operands.map(({ data }) => Float32Array.from(data));
            const plan = make(test.machine.target);
            const backwards = { ...plan, steps: plan.steps.map((tiles) => tiles.toReversed()) };
            const length = gradient.expected.data.length;
            const found = runGuarded(test, plan, inputs, length);
            assert.deepEqual(runGuarded(each.make(), backwards, inputs, length), found, one.about);
          }
    });
  });

it('kernels of one name have one code', () => {
  const target = x64Target({ avx2: true, avx512: true, avx512Bf16: false, amxBf16: false });
  assert.ok(target);
  assertOneCodePerName(
    cases.flatMap(({ gradients }) =>
      gradients.flatMap(({ plans }) => plans.map((plan) => [target, plan(target)] as const)),
    ),
  );
});

it('sizes that do not fit are refused', () => {
  const target = x64Target({ avx2: true, avx512: false, avx512Bf16: false, amxBf16: false });
  assert.ok(target);
  const task = { input: [1, 5, 5, 6], outChannels: 6, geometry: convGeometry({ kernel: 3, groups: 4 }) };
  assert.throws(() => planInputGrad(target, task), ShapeError);
  assert.throws(() => planWeightGrad(target, task), /6 channels out and geometry .* do not fit together/);
});
