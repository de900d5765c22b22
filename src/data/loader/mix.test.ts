import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '../../tensor/random.ts';
import { cutMix, mixBatch, mixUp } from './mix.ts';

/** Row i has pixels of value i and class i. */
const batchOf = (count: number, side = 8) => ({
  images: Float32Array.from({ length: count * side * side * 3 }, (_, i) => Math.floor(i / (side * side * 3))),
  targets: Float32Array.from({ length: count * count }, (_, i) => (i % (count + 1) === 0 ? 1 : 0)),
  count,
  height: side,
  width: side,
});
const row = (data: Float32Array, index: number, count: number): number[] => [
  ...data.subarray((index * data.length) / count, ((index + 1) * data.length) / count),
];

test('mixup: each row keeps the larger share of itself; the middle one stays', () => {
  const batch = batchOf(3);
  mixUp(batch, 0.25);
  assert.deepEqual(row(batch.targets, 0, 3), [0.75, 0, 0.25]);
  assert.deepEqual(row(batch.targets, 1, 3), [0, 1, 0]);
  assert.deepEqual(row(batch.targets, 2, 3), [0.25, 0, 0.75]);
  assert.ok(row(batch.images, 0, 3).every((value) => value === 0.5));
  assert.ok(row(batch.images, 1, 3).every((value) => value === 1));
  assert.ok(row(batch.images, 2, 3).every((value) => value === 1.5));
});

test('cutmix: targets have the shares of pixels', () => {
  const random = createRandom(1);
  for (let round = 0; round < 50; round++) {
    const batch = batchOf(4);
    cutMix(batch, random.uniform(), random);
    for (let index = 0; index < 4; index++) {
      const pixels = row(batch.images, index, 4);
      for (let label = 0; label < 4; label++) {
        const share = pixels.filter((value) => value === label).length / pixels.length;
        assert.ok(Math.abs(share - (batch.targets[index * 4 + label] ?? 0)) < 1e-6);
      }
    }
    assert.ok((batch.targets[0] ?? 0) >= 0.5);
  }
});

test('a batch is mixed as asked: not at all, by one, by either', () => {
  const kinds = (mixup: number, cutmix: number): Set<string> => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 40; seed++) {
      const batch = batchOf(2);
      mixBatch(batch, mixup, cutmix, createRandom(seed));
      const values = new Set(row(batch.images, 0, 2));
      seen.add(
        [...values].every((value) => value === 0) ? 'none' : [...values].some((v) => v === 1) ? 'cut' : 'mix',
      );
      assert.ok(Math.abs((batch.targets[0] ?? 0) + (batch.targets[1] ?? 0) - 1) < 1e-6);
    }
    return seen;
  };
  assert.deepEqual(kinds(0, 0), new Set(['none']));
  assert.deepEqual(kinds(1, 0), new Set(['mix']));
  assert.ok(kinds(0, 1).has('cut') && !kinds(0, 1).has('mix'));
  assert.ok(kinds(1, 1).has('cut') && kinds(1, 1).has('mix'));
});

test('shares follow Beta(a, a): mean of the larger share for a = 1 and a = 0.2', () => {
  const meanShare = (alpha: number): number => {
    let sum = 0;
    for (let seed = 0; seed < 4000; seed++) {
      const batch = batchOf(2, 1);
      mixBatch(batch, alpha, 0, createRandom(seed));
      sum += (batch.targets[0] ?? 0) / 4000;
    }
    return sum;
  };
  // E[max(x, 1 − x)]: 3/4 for the uniform; 0.8989 for 0.2, sampled with Python's betavariate.
  assert.ok(Math.abs(meanShare(1) - 0.75) < 0.01);
  assert.ok(Math.abs(meanShare(0.2) - 0.8989) < 0.01, `${meanShare(0.2)}`);
});
