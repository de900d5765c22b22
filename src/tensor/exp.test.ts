import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expNegative } from './exp.ts';
import { createRandom } from './random.ts';

test('as Math.exp to the last bits, over all its range', () => {
  const random = createRandom(1);
  const check = (x: number, tolerance: number): void => {
    const error = Math.abs(expNegative(x) / Math.exp(x) - 1);
    assert.ok(error <= tolerance, `e^${x}: ${error}`);
  };
  for (let i = 0; i < 1e5; i++) check(-20 * random.uniform(), 1e-15);
  // ln 2/64 is not exact: a share of 2⁻⁵³ of x is lost.
  for (let i = 0; i < 1e5; i++) check(-708 * random.uniform(), 5e-14);
  // Where the number of parts changes.
  for (let n = 0; n < 2000; n++) check((-n * Math.LN2) / 128, 1e-15);
  assert.deepEqual([0, -709, Number.NEGATIVE_INFINITY].map(expNegative), [1, 0, 0]);
  assert.ok(Number.isNaN(expNegative(Number.NaN)));
});
