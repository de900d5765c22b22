/** What the cases of ops do not show of batch norms in training: data whose mean dwarfs its deviation. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { applyOp } from '../../../test/support/apply-op.ts';
import { runGuardedOutputs } from '../../../test/support/guarded-plan.ts';
import { allMachines, type TestMachine } from '../../../test/support/machines.ts';
import { createRandom, type Random } from '../../tensor/random.ts';
import { elementCount, type Shape, type Tensor } from '../../tensor/tensor.ts';
import { planNormSum } from './norm-sum.ts';
import { planNormSumGrad } from './norm-sum-grad.ts';

const EPSILON = 2 ** -23;
const shape: Shape = [3, 23, 17, 5]; // several shares of rows

/** Channels: mean 100; mean −3000; one outlier; constant; drifting along the rows. */
function draw(random: Random): Tensor<Float32Array> {
  const rows = elementCount(shape) / 5;
  const data = new Float32Array(rows * 5);
  for (let row = 0; row < rows; row++)
    data.set(
      [
        100 + random.normal(),
        -3000 + random.normal(),
        row === 100 ? 1000 : random.normal(),
        7.3,
        row / 20 + random.normal(),
      ],
      row * 5,
    );
  return { shape, data };
}

const vector = (random: Random): Tensor<Float32Array> => ({
  shape: [5],
  data: Float32Array.from({ length: 5 }, () => 0.5 + random.uniform()),
});

/** |found − expected| ≤ tolerance of its channel. */
function assertClose(
  found: Float32Array | undefined,
  expected: Tensor | undefined,
  tolerance: (c: number, value: number) => number,
  what: string,
): void {
  assert.equal(found?.length, expected?.data.length);
  expected?.data.forEach((value, i) => {
    const error = Math.abs((found?.[i] ?? Number.NaN) - value);
    assert.ok(error <= tolerance(i % 5, value), `${what}: ${found?.[i]} at ${i}, not ${value}`);
  });
}

const machines = (await allMachines()).filter(({ name }) => !name.includes('without'));

for (const each of machines)
  describe(`batch norms of training on ${each.name}`, { skip: each.skip }, () => {
    if (each.skip !== false) return;
    const test: TestMachine = each.make();
    const { target } = test.machine;

    it('statistics and gradients do not lose a variance that is small beside the squared mean', () => {
      const random = createRandom(1);
      const task = { shape, branches: 1, eps: 1e-5, fn: null };
      const operands = [draw(random), vector(random), vector(random)];
      const [y, mean, variance] = applyOp('normSum', task, operands);
      assert.ok(y && mean && variance);
      const lengths = [y, mean, variance].map(({ data }) => data.length);
      const [foundY, foundMean, foundVariance] = runGuardedOutputs(
        test,
        planNormSum(target, task),
        operands.map(({ data }) => data),
        lengths,
      );
      const m = (c: number): number => Math.abs(mean.data[c] ?? 0);
      const sd = (c: number): number => Math.sqrt((variance.data[c] ?? 0) + 1e-5);
      assertClose(foundMean, mean, (c) => EPSILON * (m(c) + sd(c)), 'mean');
      assertClose(foundVariance, variance, (c) => 4 * EPSILON * sd(c) ** 2, 'variance');
      assertClose(foundY, y, (c, value) => 4 * EPSILON * (2 + Math.abs(value) + m(c) / sd(c)), 'y');
      const dy = { shape, data: Float32Array.from(operands[0]?.data ?? [], () => random.normal()) };
      const [x, gamma] = operands;
      assert.ok(x && gamma && foundMean && foundVariance);
      const rest = [x, gamma, { shape: [5], data: foundMean }, { shape: [5], data: foundVariance }];
      const gradTask = { ...task, statistics: 'batch' } as const;
      const expected = applyOp('normSumGrad', gradTask, [dy, ...rest]);
      const found = runGuardedOutputs(
        test,
        planNormSumGrad(target, gradTask),
        [dy, ...rest].map(({ data }) => data as Float32Array),
        expected.map(({ data }) => data.length),
      );
      const rows = elementCount(shape) / 5;
      found.forEach((data, i) => {
        const scale = i === 1 ? (c: number) => 8 / sd(c) : () => 8 * Math.sqrt(rows);
        assertClose(data, expected[i], (c) => EPSILON * scale(c), `gradient ${i}`);
      });
    });
  });
