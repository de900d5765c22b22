import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '../../tensor/random.ts';
import { type Lifetime, layOut } from './arena.ts';

test('random lifetimes: none overlap in time and place, all aligned, little more than the fullest moment', () => {
  for (let seed = 0; seed < 200; seed++) {
    const random = createRandom(seed);
    // One in fifty has more of them than are looked through for each other.
    const count = seed % 50 === 49 ? 1500 : 1 + random.integer(60);
    const lifetimes = Array.from({ length: count }, (): Lifetime => {
      const first = random.integer(40) - 1;
      return { bytes: random.integer(3000), first, last: first + random.integer(8) };
    });
    const { offsets, bytes } = layOut(lifetimes);
    const end = (i: number): number => (offsets[i] ?? Number.NaN) + (lifetimes[i]?.bytes ?? 0);
    lifetimes.forEach((a, i) => {
      assert.equal((offsets[i] ?? 1) % 64, 0);
      assert.ok(end(i) <= bytes);
      lifetimes.slice(0, i).forEach((b, j) => {
        if (a.bytes === 0 || b.bytes === 0 || a.first > b.last || b.first > a.last) return;
        assert.ok(end(i) <= (offsets[j] ?? 0) || end(j) <= (offsets[i] ?? 0), `seed ${seed}: ${i} and ${j}`);
      });
    });
    const loads = Array.from({ length: 60 }, (_, t) =>
      lifetimes
        .filter(({ first, last }) => first <= t - 1 && t - 1 <= last)
        .reduce((sum, lifetime) => sum + Math.ceil(lifetime.bytes / 64) * 64, 0),
    );
    assert.ok(bytes >= Math.max(...loads) && bytes <= 1.5 * Math.max(...loads), `seed ${seed}: ${bytes}`);
  }
});

test('a gap is filled by what fits it best', () => {
  const { offsets, bytes } = layOut([
    { bytes: 640, first: 0, last: 1 },
    { bytes: 512, first: 0, last: 3 },
    { bytes: 448, first: 2, last: 3 },
    { bytes: 128, first: 2, last: 3 },
  ]);
  assert.deepEqual([...offsets], [0, 640, 0, 448]);
  assert.equal(bytes, 1152);
});
