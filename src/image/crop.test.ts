import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededImage } from '../../test/support/pillow.ts';
import { createRandom } from '../tensor/random.ts';
import { centerRegion, cropImage, roundHalfEven } from './crop.ts';

test('halves round to even, as in Python', () => {
  const cases: [number, number][] = [
    [0.5, 0],
    [1.5, 2],
    [2.5, 2],
    [3.5, 4],
    [21, 21],
    [2.4, 2],
    [2.6, 3],
  ];
  for (const [x, rounded] of cases) assert.equal(roundHalfEven(x), rounded);
});

test("the centre crop lies where torchvision's does", () => {
  assert.deepEqual(centerRegion(266, 256, 224, 224), { x: 21, y: 16, width: 224, height: 224 });
  assert.deepEqual(centerRegion(257, 259, 224, 224), { x: 16, y: 18, width: 224, height: 224 }); // 16.5, 17.5
  assert.deepEqual(centerRegion(221, 300, 224, 224), { x: -1, y: 38, width: 224, height: 224 }); // padded 1 and 2
});

test('a crop is the pixels inside and black outside', () => {
  const random = createRandom(6);
  for (let round = 0; round < 50; round++) {
    const image = seededImage(1 + random.integer(9), 1 + random.integer(9), round);
    const region = {
      x: random.integer(20) - 10,
      y: random.integer(20) - 10,
      width: 1 + random.integer(12),
      height: 1 + random.integer(12),
    };
    const cropped = cropImage(image, region);
    assert.equal(cropped.data.length, region.width * region.height * 3);
    for (let i = 0; i < cropped.data.length; i++) {
      const pixel = Math.floor(i / 3);
      const x = region.x + (pixel % region.width);
      const y = region.y + Math.floor(pixel / region.width);
      const inside = x >= 0 && y >= 0 && x < image.width && y < image.height;
      assert.equal(cropped.data[i], inside ? image.data[(y * image.width + x) * 3 + (i % 3)] : 0);
    }
  }
});
