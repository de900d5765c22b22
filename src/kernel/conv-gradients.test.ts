/** Every way to compute gradients of convolutions on every machine here, against the reference's sums in f64. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Convolution } from '../../test/cases/convolution-cases.ts';
import { gradientConvolutions } from '../../test/cases/training-convolution.ts';
import { runGuarded } from '../../test/support/guarded-plan.ts';
import { allMachines, type TestMachine } from '../../test/support/machines.ts';
import { systemV } from '../assembler/x64/registers.ts';
import { X64Code } from '../assembler/x64/x64-code.ts';
import { x64Target } from '../assembler/x64/x64-target.ts';
import { convGradientRules } from '../engine/reference/conv-gradients.ts';
import { ShapeError } from '../errors.ts';
import { convGeometry, windowOutputSize } from '../graph/geometry.ts';
import type { ValueId } from '../graph/graph.ts';
import { createRandom } from '../tensor/random.ts';
import { elementCount, type Shape, type Tensor } from '../tensor/tensor.ts';
import type { ConvGradientRow, ConvGradientTask } from './conv-gradient-row.ts';
import { inputGradRows, planInputGrad, planWeightGrad, weightGradRows } from './conv-gradients.ts';

interface Gradient {
  readonly rows: readonly ConvGradientRow[];
  readonly operands: readonly Tensor[];
  readonly expected: Tensor;
  /** Products in a sum. */
  readonly steps: number;
}

interface Case {
  readonly about: string;
  readonly task: ConvGradientTask;
  readonly gradients: readonly Gradient[];
}

const random = createRandom(21);
const normal = (shape: Shape): Tensor => ({
  shape,
  data: Float32Array.from({ length: elementCount(shape) }, () => random.normal()),
});
const sums = (shape: Shape): Tensor => ({ shape, data: new Float64Array(elementCount(shape)) });
const ids = { name: '', inputs: [] as ValueId[], outputs: [] as ValueId[] };

function makeCase(c: Convolution): Case {
  const geometry = convGeometry(c);
  const { size = [5, 7], batch = 1, from, to } = c;
  const input = [batch, ...size, from];
  const outSize = windowOutputSize(geometry, ...size);
  const [x, dy] = [normal(input), normal([batch, ...outSize, to])];
  const weight = normal([to, from / geometry.groups, ...geometry.kernel]);
  const [dx, dw] = [sums(input), sums(weight.shape)];
  const [height, width] = size;
  const attrs = { geometry, height, width };
  convGradientRules.conv2dInputGrad({ kind: 'conv2dInputGrad', ...ids, attrs }, [dy, weight], [dx]);
  convGradientRules.conv2dWeightGrad({ kind: 'conv2dWeightGrad', ...ids, attrs }, [x, dy], [dw]);
  const steps = (to / geometry.groups) * geometry.kernel[0] * geometry.kernel[1];
  return {
    about: JSON.stringify(c),
    task: { input, outChannels: to, geometry },
    gradients: [
      { rows: inputGradRows, operands: [dy, weight], expected: dx, steps },
      { rows: weightGradRows, operands: [x, dy], expected: dw, steps: batch * outSize[0] * outSize[1] },
    ],
  };
}

const cases = gradientConvolutions.map(makeCase);

/** Sums of k products of about 1 each: |found − reference| ≤ 8·eps·√k·(√k + |reference|). */
function check(test: TestMachine, { about, task }: Case, gradient: Gradient, row: ConvGradientRow): void {
  const { operands, expected, steps } = gradient;
  const inputs = operands.map(({ data }) => Float32Array.from(data));
  const plan = row.plan(test.machine.target, task);
  const found = runGuarded(test, plan, inputs, expected.data.length);
  const root = Math.sqrt(steps);
  for (const [i, value] of found.entries()) {
    const want = expected.data[i] ?? Number.NaN;
    const allowed = 8 * 2 ** -23 * root * (root + Math.abs(want));
    assert.ok(
      Math.abs(value - want) <= allowed,
      `${test.name} ${row.name} ${about} ${expected.shape}: ${i} is ${value}, expected ${want}`,
    );
  }
}

const machines = (await allMachines()).filter(({ name }) => !name.includes('without'));

for (const each of machines)
  describe(`gradients of convolutions on ${each.name}`, { skip: each.skip }, () => {
    if (each.skip !== false) return;
    for (const [which, name] of ['by the input', 'by the weight'].entries())
      it(name, () => {
        const used = new Set<ConvGradientRow>();
        for (const one of cases)
          for (const row of one.gradients[which]?.rows ?? [])
            if (row.applies(one.task)) {
              used.add(row);
              check(each.make(), one, one.gradients[which] ?? assert.fail(), row);
            }
        assert.equal(used.size, 2);
      });

    it('the order of tiles changes no bit', () => {
      for (const one of cases.filter((_, i) => i % 7 === 0))
        for (const gradient of one.gradients)
          for (const row of gradient.rows.filter(({ applies }) => applies(one.task))) {
            const test = each.make();
            const inputs = gradient.operands.map(({ data }) => Float32Array.from(data));
            const plan = row.plan(test.machine.target, one.task);
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
  const codes = new Map<string, Buffer>();
  let repeated = 0;
  for (const { task, gradients } of cases)
    for (const row of gradients.flatMap(({ rows }) => rows.filter(({ applies }) => applies(task))))
      for (const { kernel } of row.plan(target, task).steps.flat()) {
        const code = new X64Code({ target, convention: systemV, futex: false });
        code.kernel(kernel.name, kernel.generate);
        const bytes = Buffer.from(code.finish().bytes);
        const known = codes.get(kernel.name);
        if (known !== undefined) repeated++;
        assert.ok(known === undefined || known.equals(bytes), `two codes are named ${kernel.name}`);
        codes.set(kernel.name, bytes);
      }
  assert.ok(repeated > 20 && codes.size > 100);
});

it('sizes that do not fit are refused', () => {
  const target = x64Target({ avx2: true, avx512: false, avx512Bf16: false, amxBf16: false });
  assert.ok(target);
  const task = { input: [1, 5, 5, 6], outChannels: 6, geometry: convGeometry({ kernel: 3, groups: 4 }) };
  assert.throws(() => planInputGrad(target, task), ShapeError);
  assert.throws(() => planWeightGrad(target, task), /6 channels out and geometry .* do not fit together/);
});
