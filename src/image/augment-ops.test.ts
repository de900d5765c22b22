import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as v from 'valibot';
import { sha256 } from '../../test/support/pillow.ts';
import { augmentOps } from './augment-ops.ts';
import type { Image } from './image.ts';

const number = v.number();
const fixture = v.parse(
  v.object({
    pillow: v.string(),
    fill: v.strictTuple([number, number, number]),
    cases: v.array(
      v.object({
        op: v.picklist(Object.keys(augmentOps) as (keyof typeof augmentOps)[]),
        arguments: v.array(v.union([number, v.picklist(['bilinear', 'bicubic'])])),
        size: v.strictTuple([number, number]),
        seed: number,
        low: number,
        high: number,
        start: v.array(number),
        sha256: v.string(),
      }),
    ),
  }),
  JSON.parse(
    readFileSync(new URL('../../../src/image/fixtures/pillow-augment.json', import.meta.url), 'utf8'),
  ),
);

/** The fixture script's seeded picture. */
function picture([width, height]: readonly [number, number], seed: number, low: number, high: number): Image {
  let state = seed;
  const data = Uint8Array.from({ length: width * height * 3 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return low + (((state >>> 24) * (high - low + 1)) >> 8);
  });
  return { width, height, data };
}

for (const op of Object.keys(augmentOps) as (keyof typeof augmentOps)[])
  test(`${op}: every byte is Pillow ${fixture.pillow}'s`, () => {
    const cases = fixture.cases.filter((item) => item.op === op);
    assert.ok(cases.length > 5);
    for (const { arguments: given, size, seed, low, high, start, sha256: expected } of cases) {
      const [value, interpolation] = given;
      const image = picture(size, seed, low, high);
      const before = new Uint8Array(image.data);
      const result = augmentOps[op](image, typeof value === 'number' ? value : 0, {
        interpolation: interpolation === 'bicubic' ? 'bicubic' : 'bilinear',
        fill: fixture.fill,
      });
      const what = `${size.join('×')} ${given.join(' ')}`;
      assert.deepEqual([result.width, result.height], size, what);
      assert.deepEqual([...result.data.subarray(0, 6)], start, what);
      assert.equal(sha256(result.data).slice(0, 32), expected, what);
      assert.deepEqual(image.data, before, 'the picture itself stays');
    }
  });
