import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pillow, seededImage, sha256 } from '../../test/support/pillow.ts';
import { ImageError } from '../errors.ts';
import { createRandom } from '../tensor/random.ts';
import { cropImage } from './crop.ts';
import { interpolations, resizeImage } from './resize.ts';

for (const { size, out, filter, seed, extreme, start, sha256: expected } of pillow.resize) {
  test(`resize ${size.join('×')} to ${out.join('×')} ${filter}: every byte is Pillow ${pillow.pillow}'s`, () => {
    const result = resizeImage(seededImage(size[0], size[1], seed, extreme), out[0], out[1], filter);
    assert.deepEqual([result.width, result.height], out);
    assert.deepEqual([...result.data.subarray(0, 6)], start);
    assert.equal(sha256(result.data), expected);
  });
}

test('a region is the same pixels as a crop of the whole', () => {
  const random = createRandom(3);
  for (let round = 0; round < 60; round++) {
    const image = seededImage(1 + random.integer(40), 1 + random.integer(40), round);
    const [width, height] = [1 + random.integer(50), 1 + random.integer(50)];
    const [x, y] = [random.integer(width), random.integer(height)];
    const region = { x, y, width: 1 + random.integer(width - x), height: 1 + random.integer(height - y) };
    const filter = interpolations[random.integer(interpolations.length)] ?? 'bilinear';
    const whole = resizeImage(image, width, height, filter);
    assert.deepEqual(resizeImage(image, width, height, filter, region), cropImage(whole, region));
  }
});

test('one colour stays that colour at every size', () => {
  const random = createRandom(4);
  for (let round = 0; round < 40; round++) {
    const colour = [0, 255, random.integer(256)];
    const side = 1 + random.integer(30);
    const data = Uint8Array.from({ length: side * side * 3 }, (_, i) => colour[i % 3] ?? 0);
    const filter = interpolations[round % interpolations.length] ?? 'bilinear';
    const out = resizeImage(
      { width: side, height: side, data },
      1 + random.integer(60),
      1 + random.integer(60),
      filter,
    );
    assert.ok(out.data.every((byte, i) => byte === colour[i % 3]));
  }
});

test('sizes and regions that make no sense are refused', () => {
  const image = seededImage(4, 4, 1);
  for (const [width, height] of [
    [0, 5],
    [5, -1],
    [2.5, 2],
    [Number.NaN, 2],
  ] as const)
    assert.throws(() => resizeImage(image, width, height, 'bilinear'), ImageError);
  for (const region of [
    { x: 0, y: 0, width: 6, height: 1 },
    { x: -1, y: 0, width: 2, height: 1 },
    { x: 0, y: 0, width: 0, height: 1 },
    { x: 0.5, y: 0, width: 1, height: 1 },
  ])
    assert.throws(() => resizeImage(image, 5, 5, 'bilinear', region), ImageError);
});

test('proportions that would need gigabytes are refused, unless only a part is asked for', () => {
  const thin = { width: 1, height: 3_000_000, data: new Uint8Array(9_000_000) };
  assert.throws(() => resizeImage(thin, 224, 224, 'bilinear'), /224×3000000 pixels need 2016000000 bytes/);
  assert.throws(() => resizeImage(thin, 256, 768_000_000, 'bilinear'), ImageError);
  const region = { x: 16, y: 384_000_000, width: 224, height: 224 };
  assert.equal(resizeImage(thin, 256, 768_000_000, 'bilinear', region).data.length, 224 * 224 * 3);
});
