import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededImage } from '../../test/support/pillow.ts';
import { createRandom } from '../tensor/random.ts';
import { augmentOps } from './augment-ops.ts';
import { type Augmentation, augment } from './augmentation.ts';
import { autoAugment, imagenetPolicies } from './auto-augment.ts';
import { jitterColor } from './color-jitter.ts';
import { cropImage } from './crop.ts';
import type { Image } from './image.ts';
import { applyOrientation } from './orientation.ts';
import { increasingPolicies, policyValue, randAugment } from './rand-augment.ts';
import { randomRegion } from './random-crop.ts';
import { eraseRandomly } from './random-erase.ts';
import { resizeImage } from './resize.ts';

const imagenetCrop = { area: [0.08, 1], ratio: [3 / 4, 4 / 3] } as const;
const fill = [1, 2, 3] as const;
const move = { interpolation: 'bilinear', fill } as const;

test('random regions lie inside; area and ratio are as asked, to rounding', () => {
  const random = createRandom(1);
  let area = 0;
  for (let n = 0; n < 2000; n++) {
    const { x, y, width, height } = randomRegion(400, 300, imagenetCrop, random);
    assert.ok(x >= 0 && y >= 0 && width >= 1 && height >= 1 && x + width <= 400 && y + height <= 300);
    const ratio = width / height;
    assert.ok(ratio > 0.74 && ratio < 1.36, `${ratio}`);
    const share = (width * height) / 120_000;
    assert.ok(share > 0.078 && share <= 1.001, `${share}`);
    area += share / 2000;
  }
  // torchvision 0.14 has a mean of 0.431 over 20,000 draws.
  assert.ok(Math.abs(area - 0.431) < 0.02, `${area}`);
});

test('a picture that no allowed region fits is cut in its middle, as in torchvision', () => {
  const huge = { area: [1, 1], ratio: [3 / 4, 4 / 3] } as const;
  const region = (width: number, height: number) =>
    Object.values(randomRegion(width, height, huge, createRandom(1)));
  assert.deepEqual(region(1000, 30), [480, 0, 40, 30]);
  assert.deepEqual(region(30, 1001), [0, 480, 30, 40]);
  assert.deepEqual(region(1, 1), [0, 0, 1, 1]);
});

test('policies at a level: the values of mmpretrain', () => {
  const at = (level: number, negative = false) =>
    Object.fromEntries(
      increasingPolicies.map((p) => [p.op, Number(policyValue(p, level, negative).toFixed(6))]),
    );
  assert.deepEqual(at(7), {
    autoContrast: 0,
    equalize: 0,
    invert: 0,
    rotate: 21,
    posterize: 2,
    solarize: 76.8,
    solarizeAdd: 77,
    adjustColor: 1.63,
    adjustContrast: 1.63,
    adjustBrightness: 1.63,
    adjustSharpness: 1.63,
    shearX: 0.21,
    shearY: 0.21,
    translateX: 0.315,
    translateY: 0.315,
  });
  const negated = at(10, true);
  assert.deepEqual(
    [negated.rotate, negated.posterize, negated.solarize, negated.adjustColor, negated.translateY],
    [-30, 0, 0, 0.1, -0.45],
  );
  assert.deepEqual([at(0).posterize, at(0).solarize, at(0).adjustColor], [4, 256, 1]);
});

test('RandAugment: each operation is taken half of the time it is drawn', () => {
  const image = seededImage(8, 8, 5);
  const random = createRandom(2);
  let changed = 0;
  for (let n = 0; n < 2000; n++) {
    const result = randAugment(image, { count: 1, level: 5, deviation: 0 }, move, random);
    if (result !== image) changed++;
  }
  assert.ok(changed > 900 && changed < 1100, `${changed}`);
});

test('AutoAugment: 25 pairs, none of them at strength 0', () => {
  assert.equal(imagenetPolicies.length, 25);
  const image = seededImage(9, 7, 6);
  const random = createRandom(3);
  let changed = 0;
  for (let n = 0; n < 200; n++) {
    assert.equal(autoAugment(image, 0, move, random), image);
    const result = autoAugment(image, 1, move, random);
    assert.deepEqual([result.width, result.height], [9, 7]);
    if (result !== image) changed++;
  }
  assert.ok(changed > 140 && changed < 200, `${changed}`);
});

test('erasing covers a rectangle of 2 % to a third with the colour', () => {
  const image: Image = { width: 40, height: 50, data: new Uint8Array(40 * 50 * 3).fill(200) };
  const random = createRandom(4);
  for (let n = 0; n < 100; n++) {
    const { data } = eraseRandomly(image, fill, random);
    const erased: [number, number][] = [];
    for (let i = 0; i < 2000; i++) {
      const pixel = [...data.subarray(i * 3, i * 3 + 3)];
      if (pixel[0] === 200) continue;
      assert.deepEqual(pixel, [...fill]);
      erased.push([i % 40, Math.floor(i / 40)]);
    }
    const spread = (axis: 0 | 1) => {
      const values = erased.map((place) => place[axis]);
      return Math.max(...values) - Math.min(...values) + 1;
    };
    assert.equal(erased.length, spread(0) * spread(1), 'a full rectangle');
    assert.ok(erased.length > 0.015 * 2000 && erased.length < 0.36 * 2000, `${erased.length}`);
  }
});

test('jitter: no spread changes nothing; effects stay within their factors', () => {
  const image = seededImage(5, 5, 7);
  assert.equal(
    jitterColor(image, { brightness: 0, contrast: 0, saturation: 0, hue: 0 }, createRandom(1)),
    image,
  );
  const random = createRandom(5);
  const grey: Image = { width: 1, height: 1, data: new Uint8Array([100, 100, 100]) };
  const seen = Array.from(
    { length: 300 },
    () => jitterColor(grey, { brightness: 0.4, contrast: 0, saturation: 0, hue: 0 }, random).data[0] ?? 0,
  );
  assert.ok(
    Math.min(...seen) >= 59 && Math.min(...seen) < 70 && Math.max(...seen) <= 140 && Math.max(...seen) > 130,
  );
});

const plain: Augmentation = {
  crop: imagenetCrop,
  flip: 0,
  randAugment: null,
  autoAugment: false,
  color: null,
  erase: 0,
};
const options = { size: 12, strength: 1, interpolation: 'bilinear', fill } as const;

test('without effects a training picture is the crop, resized; flips are half of them', () => {
  const image = seededImage(33, 21, 8);
  const expected = resizeImage(
    cropImage(image, randomRegion(33, 21, imagenetCrop, createRandom(9))),
    12,
    12,
    'bilinear',
  );
  assert.deepEqual(augment(image, plain, options, createRandom(9)), expected);
  const flipped = augment(image, { ...plain, flip: 1 }, options, createRandom(9));
  assert.deepEqual(flipped, applyOrientation(expected, 2));
});

test('all effects: decided by the generator, the size is right, the picture stays', () => {
  const image = seededImage(40, 30, 9);
  const before = new Uint8Array(image.data);
  const everything: Augmentation = {
    ...plain,
    flip: 0.5,
    randAugment: { count: 2, level: 7, deviation: 0.5 },
    autoAugment: true,
    color: { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 },
    erase: 0.5,
  };
  const results = new Set<string>();
  for (let seed = 0; seed < 20; seed++) {
    const once = augment(image, everything, options, createRandom(seed));
    assert.deepEqual(augment(image, everything, options, createRandom(seed)), once);
    assert.deepEqual([once.width, once.height, once.data.length], [12, 12, 432]);
    results.add(String(once.data));
  }
  assert.equal(results.size, 20);
  assert.deepEqual(image.data, before);
  assert.ok(Object.keys(augmentOps).length >= 15);
});
