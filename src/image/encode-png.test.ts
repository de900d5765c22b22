import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ImageError } from '../errors.ts';
import { createRandom } from '../tensor/random.ts';
import { encodePng } from './encode-png.ts';
import { decodePng } from './png.ts';

const noise = (length: number, limit: number): Uint8Array => {
  const random = createRandom(length);
  return Uint8Array.from({ length }, () => random.integer(limit));
};

test('what is encoded comes back: noise, ramps and single pixels', async () => {
  for (const [width, height] of [
    [1, 1],
    [17, 1],
    [1, 9],
    [31, 23],
  ] as const) {
    const image = { width, height, data: noise(width * height * 3, 256) };
    assert.deepEqual(await decodePng(await encodePng(image)), image);
  }
  const ramp = Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i / 3 + i / 192) & 255);
  const file = await encodePng({ width: 64, height: 64, data: ramp });
  assert.deepEqual((await decodePng(file)).data, ramp);
  assert.ok(file.length < ramp.length / 20, `filters let a ramp shrink to ${file.length} bytes`);
});

test('a palette gives its colours', async () => {
  const palette = [
    [0, 0, 0],
    [200, 10, 30],
    [1, 2, 3],
  ] as const;
  const data = noise(40, 3);
  const { data: found } = await decodePng(await encodePng({ width: 8, height: 5, data, palette }));
  assert.deepEqual(
    [...found],
    [...data].flatMap((index) => palette[index] ?? []),
  );
});

test('data of another size, and an empty palette, are refused', async () => {
  await assert.rejects(encodePng({ width: 2, height: 2, data: new Uint8Array(11) }), ImageError);
  await assert.rejects(encodePng({ width: 1, height: 1, data: new Uint8Array(1), palette: [] }), ImageError);
});
