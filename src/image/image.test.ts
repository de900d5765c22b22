import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pillow, sha256 } from '../../test/support/pillow.ts';
import { ImageError } from '../errors.ts';
import { fromPixels } from './image.ts';

test('pixels of every layout become RGB', () => {
  const two = (data: number[]) => fromPixels({ width: 2, height: 1, data: Uint8Array.from(data) });
  assert.deepEqual([...two([7, 9]).data], [7, 7, 7, 9, 9, 9]);
  assert.deepEqual([...two([7, 0, 9, 128]).data], [7, 7, 7, 9, 9, 9]);
  assert.deepEqual([...two([1, 2, 3, 4, 5, 6]).data], [1, 2, 3, 4, 5, 6]);
  assert.deepEqual([...two([1, 2, 3, 0, 4, 5, 6, 128]).data], [1, 2, 3, 4, 5, 6]);
});

test('an ImageData fits as it is, and RGB is not copied', () => {
  const imageData = {
    width: 1,
    height: 2,
    data: new Uint8ClampedArray([1, 2, 3, 255, 4, 5, 6, 255]),
    colorSpace: 'srgb',
  };
  assert.deepEqual([...fromPixels(imageData).data], [1, 2, 3, 4, 5, 6]);
  const data = new Uint8Array(6);
  assert.equal(fromPixels({ width: 2, height: 1, data }).data, data);
});

test("CMYK becomes Pillow's RGB for every pair of ink and black", () => {
  const data = new Uint8Array(256 * 256 * 4);
  for (let y = 0, i = 0; y < 256; y++) {
    for (let x = 0; x < 256; x++, i += 4) data.set([x, 255 - x, (x + y) % 256, y], i);
  }
  const image = fromPixels({ width: 256, height: 256, data, layout: 'cmyk' });
  assert.equal(sha256(image.data), pillow.cmykSha256);
});

test('pixels that do not fit their size are refused with both numbers', () => {
  const data = new Uint8Array(11);
  assert.throws(
    () => fromPixels({ width: 2, height: 2, data }),
    (error) => error instanceof ImageError && /2×2.*12 bytes, found 11/.test(error.message),
  );
  assert.throws(
    () => fromPixels({ width: 2, height: 2, data: new Uint8Array(12), layout: 'rgba' }),
    /16 bytes, found 12/,
  );
  for (const width of [0, -2, 1.5, Number.NaN, 2 ** 53])
    assert.throws(() => fromPixels({ width, height: 1, data }), ImageError);
});
