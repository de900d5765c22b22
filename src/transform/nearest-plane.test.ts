import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { bfloat16ToNumber, numberToBfloat16 } from '../tensor/half.ts';
import { createRandom } from '../tensor/random.ts';
import { nearestPlane, type RoundRow, roundEach } from './nearest-plane.ts';

const SIZE = 48;
const random = createRandom(5);

/** Of inputs that are sums of `causes` random ones each, and a tenth of their own. */
function plantedCovariance(causes: number): Float64Array {
  const mix = Float64Array.from({ length: SIZE * causes }, () => random.normal());
  return Float64Array.from({ length: SIZE * SIZE }, (_, at) => {
    const [i, j] = [Math.floor(at / SIZE), at % SIZE];
    let sum = i === j ? 0.01 : 0;
    for (let c = 0; c < causes; c++) sum += (mix[i * causes + c] ?? 0) * (mix[j * causes + c] ?? 0);
    return sum;
  });
}

const rows = Array.from({ length: 40 }, () => Float64Array.from({ length: SIZE }, () => random.normal()));

function changes(round: RoundRow, covariance: Float64Array): number {
  let total = 0;
  for (const row of rows) {
    const rounded = new Float64Array(SIZE);
    round(row, rounded);
    for (let i = 0; i < SIZE; i++)
      for (let j = 0; j < SIZE; j++)
        total +=
          ((rounded[i] ?? 0) - (row[i] ?? 0)) *
          (covariance[i * SIZE + j] ?? 0) *
          ((rounded[j] ?? 0) - (row[j] ?? 0));
  }
  return Math.sqrt(total / rows.length);
}

describe('rounding to the nearest plane', () => {
  for (const [causes, factor] of [
    [2, 5],
    [6, 3],
    [24, 1.5],
  ] as const)
    test(`inputs of ${causes} causes: outputs change ${factor} times less than with each weight to its nearest`, () => {
      const covariance = plantedCovariance(causes);
      const [each, together] = [
        changes(roundEach, covariance),
        changes(nearestPlane(covariance), covariance),
      ];
      assert.ok(together < each / factor, `${together} together, ${each} each`);
    });

  test('gives bf16 numbers, however inputs vary', () => {
    for (const covariance of [plantedCovariance(3), new Float64Array(SIZE * SIZE)]) {
      const round = nearestPlane(covariance);
      for (const row of rows) {
        const rounded = new Float64Array(SIZE);
        round(row, rounded);
        for (const value of rounded) assert.equal(bfloat16ToNumber(numberToBfloat16(value)), value);
      }
    }
  });

  test('inputs that do not vary together leave every weight its nearest', () => {
    const covariance = new Float64Array(SIZE * SIZE);
    for (let i = 0; i < SIZE; i++) covariance[i * SIZE + i] = i;
    const [found, expected] = [new Float64Array(SIZE), new Float64Array(SIZE)];
    for (const row of rows) {
      nearestPlane(covariance)(row, found);
      roundEach(row, expected);
      assert.deepEqual(found, expected);
    }
  });

  test('says how much outputs change', () => {
    const covariance = plantedCovariance(SIZE);
    const round = nearestPlane(covariance);
    const said = rows.reduce((sum, row) => sum + round(row, new Float64Array(SIZE)), 0) / rows.length;
    // It counts a thousandth of the mean variance more.
    const found = changes(round, covariance) ** 2;
    assert.ok(said > found && said < 1.1 * found, `${said} said, ${found} found`);
  });
});
