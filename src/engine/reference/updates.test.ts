/** Steps of optimizers against traces by PyTorch, averages and clipping against numbers worked out by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyOp, tensorOf } from '../../../test/support/apply-op.ts';
import { torch } from '../../../test/support/torch.ts';
import type { Tensor } from '../../tensor/tensor.ts';

const of = (...values: readonly number[]): Tensor =>
  tensorOf([values.length], (i) => values[i] ?? Number.NaN);

function assertNumbers(found: Tensor | undefined, expected: readonly number[], what: string): void {
  assert.equal(found?.data.length, expected.length, what);
  expected.forEach((value, i) => {
    const error = Math.abs((found?.data[i] ?? Number.NaN) - value);
    assert.ok(error <= 1e-13 * (1 + Math.abs(value)), `${what}[${i}]: ${found?.data[i]}, not ${value}`);
  });
}

test('sgd goes PyTorch’s way; scales multiply rates, the factor gradients', () => {
  for (const { momentum, nesterov, weight_decay, start, steps } of torch.sgd) {
    const attrs = { momentum, nesterov, rateScale: 0.5, decayScale: 4 };
    let state: readonly Tensor[] = [of(...start), tensorOf([start.length], () => 0)];
    steps.forEach(({ rate, gradient, parameter, memory }, i) => {
      const [p = of(), v = of()] = state;
      const quarter = of(...gradient.map((g) => 4 * g));
      state = applyOp('sgd', attrs, [p, quarter, v, of(2 * rate, weight_decay / 4), of(0.25)]);
      assertNumbers(state[0], parameter, `parameter after step ${i}`);
      assertNumbers(state[1], memory[0] ?? [], `velocity after step ${i}`);
      const unscaled = { momentum, nesterov, rateScale: 1, decayScale: 1 };
      assertNumbers(
        applyOp('sgd', unscaled, [p, of(...gradient), v, of(rate, weight_decay)])[0],
        parameter,
        `without scales, step ${i}`,
      );
    });
  }
});

test('adamw goes PyTorch’s way; scales multiply rates, the factor gradients', () => {
  for (const { beta1, beta2, eps, weight_decay, start, steps } of torch.adamw) {
    const attrs = { beta1, beta2, eps, rateScale: 0.5, decayScale: 4 };
    const zeros = tensorOf([start.length], () => 0);
    let state: readonly Tensor[] = [of(...start), zeros, zeros];
    steps.forEach(({ rate, gradient, parameter, memory }, i) => {
      const [p = of(), m = of(), v = of()] = state;
      const rates = of(2 * rate, weight_decay / 4, 1 - beta1 ** (i + 1), 1 - beta2 ** (i + 1));
      const quarter = of(...gradient.map((g) => 4 * g));
      state = applyOp('adamw', attrs, [p, quarter, m, v, rates, of(0.25)]);
      assertNumbers(state[0], parameter, `parameter after step ${i}`);
      assertNumbers(state[1], memory[0] ?? [], `first moment after step ${i}`);
      assertNumbers(state[2], memory[1] ?? [], `second moment after step ${i}`);
    });
  }
});

test('clipFactor is PyTorch’s norm and factor', () => {
  for (const { maxNorm, gradients, norm, clipped } of torch.clip) {
    const all = gradients.map((values) => of(...values));
    const [factor, length] = applyOp('clipFactor', { maxNorm }, all);
    assertNumbers(length, [norm], 'norm');
    all.forEach((gradient, i) => {
      const scaled = [...gradient.data].map((g) => g * (factor?.data[0] ?? Number.NaN));
      assertNumbers(of(...scaled), clipped[i] ?? [], `clipped to ${maxNorm}`);
    });
  }
});

test('lerp by a given rate and by one in memory', () => {
  const operands = [of(1, 2, -4), of(3, 2, 8)];
  assertNumbers(applyOp('lerp', { rate: 0.25, factor: 1 }, operands)[0], [1.5, 2, -1], 'given');
  const [result] = applyOp('lerp', { rate: null, factor: 2 }, [...operands, of(0.5)]);
  assertNumbers(result, [3.5, 3, 6], 'in memory');
});

test('an exponential moving average by hand: 0, then 10 five times at rate 1/2', () => {
  let average = of(0);
  const trace: number[] = [];
  for (let i = 0; i < 5; i++) {
    average = applyOp('lerp', { rate: 0.5, factor: 1 }, [average, of(10)])[0] ?? of();
    trace.push(average.data[0] ?? Number.NaN);
  }
  assert.deepEqual(trace, [5, 7.5, 8.75, 9.375, 9.6875]);
});
