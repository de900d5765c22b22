/** Rules of batch norms in training against the ops of nets, and their gradients against finite differences. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyOp, directional, dot, tensorOf } from '../../../test/support/apply-op.ts';
import { type ActivationName, activations, type OutputActivation } from '../../graph/activations.ts';
import { createRandom, type Random } from '../../tensor/random.ts';
import type { Shape, Tensor } from '../../tensor/tensor.ts';

const eps = 1e-3;
const shape: Shape = [3, 2, 4, 5];
const positions = 24;
const fns = [null, 'relu', 'relu6'] as const;

interface Branch {
  readonly x: Tensor;
  readonly gamma: Tensor;
  readonly beta: Tensor;
}

function branchesOf(count: number, random: Random): readonly Branch[] {
  return Array.from({ length: count }, (_, i) => ({
    x: tensorOf(shape, () => 3 * i + (1 + i) * random.normal()),
    gamma: tensorOf([5], () => random.normal()),
    beta: tensorOf([5], () => 1 + random.normal()),
  }));
}

const flat = (branches: readonly Branch[]): readonly Tensor[] =>
  branches.flatMap(({ x, gamma, beta }) => [x, gamma, beta]);

function assertClose(found: number, expected: number, what: string, tolerance = 1e-9): void {
  assert.ok(
    Math.abs(found - expected) <= tolerance * (1 + Math.abs(expected)),
    `${what}: ${found}, not ${expected}`,
  );
}

function assertSame(found: Tensor | undefined, expected: Tensor | undefined, what: string): void {
  assert.deepEqual(found?.shape, expected?.shape, what);
  found?.data.forEach((value, i) => {
    assertClose(value, expected?.data[i] ?? Number.NaN, `${what}[${i}]`, 1e-12);
  });
}

/** The same of given statistics, put together from the ops of nets. */
function composed(
  branches: readonly Branch[],
  statistics: readonly Tensor[],
  fn: OutputActivation | null,
): Tensor | undefined {
  const terms = branches.flatMap(({ x, gamma, beta }, i) =>
    applyOp('batchNorm', { eps }, [x, gamma, beta, ...statistics.slice(2 * i, 2 * i + 2)]),
  );
  const [sum] = applyOp('sum', {}, terms);
  return fn === null || sum === undefined ? sum : applyOp('activation', { fn }, [sum])[0];
}

test('normSum is batchNorm of measured statistics, summed and activated', () => {
  const random = createRandom(1);
  for (const count of [1, 2, 3])
    for (const fn of fns) {
      const branches = branchesOf(count, random);
      const [y, ...statistics] = applyOp('normSum', { eps, fn }, flat(branches));
      assertSame(y, composed(branches, statistics, fn), `${count} branches, ${fn}`);
      branches.forEach(({ x }, i) => {
        for (let c = 0; c < 5; c++) {
          const values = [...x.data].filter((_, at) => at % 5 === c);
          const mean = values.reduce((a, b) => a + b, 0) / positions;
          const square = values.reduce((a, b) => a + b * b, 0) / positions;
          assertClose(statistics[2 * i]?.data[c] ?? Number.NaN, mean, 'mean');
          assertClose(statistics[2 * i + 1]?.data[c] ?? Number.NaN, square - mean ** 2, 'variance');
        }
      });
    }
});

test('normSumGrad is the gradient of normSum, through its statistics and with fixed ones', () => {
  const random = createRandom(2);
  for (const count of [1, 2, 3])
    for (const fn of fns)
      for (const kind of ['batch', 'fixed'] as const) {
        const branches = branchesOf(count, random);
        const [y, ...measured] = applyOp('normSum', { eps, fn }, flat(branches));
        assert.ok(y);
        const dy = tensorOf(shape, () => random.normal());
        const operands = branches.flatMap(({ x, gamma }, i) => [
          x,
          gamma,
          ...measured.slice(2 * i, 2 * i + 2),
        ]);
        const attrs = { eps, fn, statistics: kind };
        const [dbeta, ...gradients] = applyOp('normSumGrad', attrs, [
          dy,
          ...operands,
          ...(fn === null ? [] : [y]),
        ]);
        // Without kinks: a mask that finite differences cannot cross stands for the activation.
        const mask = tensorOf(shape, (i) => (fn ? activations[fn].derivativeAtOutput(y.data[i] ?? 0) : 1));
        const weights = [tensorOf(shape, (i) => (dy.data[i] ?? 0) * (mask.data[i] ?? 0))];
        assert.equal(
          mask.data.some((m) => m === 0),
          fn !== null,
        );
        const forward = (inputs: readonly Tensor[]): readonly Tensor[] => {
          if (kind === 'batch') return applyOp('normSum', { eps, fn: null }, inputs).slice(0, 1);
          const moved = branches.map((branch, i) => {
            const [x = branch.x, gamma = branch.gamma, beta = branch.beta] = inputs.slice(3 * i, 3 * i + 3);
            return { x, gamma, beta };
          });
          const sum = composed(moved, measured, null);
          return sum ? [sum] : [];
        };
        for (let which = 0; which < 3 * count; which++) {
          const inputs = flat(branches);
          const direction = tensorOf(inputs[which]?.shape ?? [], () => random.normal());
          const directions = inputs.map((_, i) => (i === which ? direction : undefined));
          const branch = Math.floor(which / 3);
          const gradient = [gradients[2 * branch], gradients[2 * branch + 1], dbeta][which % 3];
          const expected = directional(forward, inputs, directions, weights);
          assertClose(
            dot(gradient, direction),
            expected,
            `${kind} ${fn} input ${which} of ${count} branches`,
            1e-8,
          );
        }
      }
});

test('activationGrad is the derivative of activation', () => {
  const random = createRandom(3);
  for (const name of Object.keys(activations)) {
    const fn = name as ActivationName;
    const x = tensorOf([60], () => {
      const value = 4 * random.normal();
      return activations[fn].kinks.some((kink) => Math.abs(kink - value) < 0.05) ? 1 : value;
    });
    const dy = tensorOf([60], () => random.normal());
    const [dx] = applyOp('activationGrad', { fn }, [dy, x]);
    for (let i = 0; i < 60; i++) {
      const one = tensorOf([60], (j) => (i === j ? 1 : 0));
      const expected = directional((inputs) => applyOp('activation', { fn }, inputs), [x], [one], [dy]);
      assertClose(dx?.data[i] ?? Number.NaN, expected, `${fn} at ${x.data[i]}`, 1e-8);
    }
  }
});

test('channelSum adds up positions, scale multiplies', () => {
  const x = tensorOf([2, 3, 2], (i) => i);
  assert.deepEqual(applyOp('channelSum', {}, [x]), [tensorOf([2], (c) => [30, 36][c] ?? 0)]);
  assert.deepEqual(applyOp('scale', { factor: -0.5 }, [x]), [tensorOf([2, 3, 2], (i) => -0.5 * i)]);
});
