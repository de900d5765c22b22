import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '../tensor/random.ts';
import { exifOrientation } from './exif.ts';
import type { Image } from './image.ts';
import { applyOrientation, type Orientation } from './orientation.ts';

type Grid = number[][];
const mirror = (g: Grid): Grid => g.map((row) => row.toReversed());
const flip = (g: Grid): Grid => g.toReversed();
const transpose = (g: Grid): Grid => (g[0] ?? []).map((_, x) => g.map((row) => row[x] ?? -1));

/** What the tag says about where the stored first row and column are (EXIF 4.6.5.1.6). */
const expected: Readonly<Record<Orientation, (g: Grid) => Grid>> = {
  1: (g) => g,
  2: mirror,
  3: (g) => flip(mirror(g)),
  4: flip,
  5: transpose,
  6: (g) => mirror(transpose(g)),
  7: (g) => flip(mirror(transpose(g))),
  8: (g) => flip(transpose(g)),
};

const grid = [
  [1, 2, 3],
  [4, 5, 6],
];
const toImage = (g: Grid): Image => ({
  width: (g[0] ?? []).length,
  height: g.length,
  data: Uint8Array.from(g.flat().flatMap((p) => [p, p + 100, p + 200])),
});

for (const o of [1, 2, 3, 4, 5, 6, 7, 8] as const) {
  test(`orientation ${o}`, () => {
    assert.deepEqual(applyOrientation(toImage(grid), o), toImage(expected[o](grid)));
  });
}

function exifBlock(
  little: boolean,
  entries: readonly (readonly [tag: number, type: number, value: number])[],
) {
  const view = new DataView(new ArrayBuffer(8 + 2 + entries.length * 12 + 4));
  view.setUint16(0, little ? 0x4949 : 0x4d4d);
  view.setUint16(2, 42, little);
  view.setUint32(4, 8, little);
  view.setUint16(8, entries.length, little);
  for (const [i, [tag, type, value]] of entries.entries()) {
    const at = 10 + i * 12;
    view.setUint16(at, tag, little);
    view.setUint16(at + 2, type, little);
    view.setUint32(at + 4, 1, little);
    if (type === 3) view.setUint16(at + 8, value, little);
    else view.setUint32(at + 8, value, little);
  }
  return new Uint8Array(view.buffer);
}

test('the tag is read in both byte orders, with and without the JPEG prefix', () => {
  for (const little of [true, false]) {
    for (let o = 1; o <= 8; o++) {
      const block = exifBlock(little, [
        [0x010f, 4, 99],
        [0x0112, o % 2 ? 3 : 4, o],
      ]);
      assert.equal(exifOrientation(block), o);
      const prefix = Uint8Array.from('Exif\0\0', (c) => c.charCodeAt(0));
      assert.equal(exifOrientation(Uint8Array.from([...prefix, ...block])), o);
    }
  }
});

test('a tag out of range, of another type or absent means upright', () => {
  assert.equal(exifOrientation(exifBlock(true, [[0x0112, 3, 9]])), 1);
  assert.equal(exifOrientation(exifBlock(true, [[0x0112, 2, 6]])), 1);
  assert.equal(exifOrientation(exifBlock(true, [[0x0110, 3, 6]])), 1);
});

test('a cut or scrambled block never throws', () => {
  const whole = exifBlock(false, [[0x0112, 3, 6]]);
  for (let n = 0; n < whole.length; n++) {
    const found = exifOrientation(whole.subarray(0, n));
    assert.equal(found, n >= 22 ? 6 : 1);
  }
  const random = createRandom(5);
  for (let round = 0; round < 2000; round++) {
    const bytes = Uint8Array.from(whole);
    for (let k = 0; k < 3; k++) bytes[random.integer(bytes.length)] = random.integer(256);
    const found = exifOrientation(bytes);
    assert.ok(found >= 1 && found <= 8);
  }
});
