import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededImage } from '../../test/support/pillow.ts';
import { createRandom } from '../tensor/random.ts';
import { applyTransform, fitImage, normalizePixels, resizedSize } from './apply-transform.ts';
import { centerRegion, cropImage } from './crop.ts';
import { type EvalTransform, evalTransforms } from './eval-transform.ts';
import { resizeImage } from './resize.ts';

test('the short side is met and the long side truncated', () => {
  const resize = evalTransforms.apple.resize;
  assert.deepEqual(resizedSize(181, 174, resize), { width: 266, height: 256 }); // 266.29…
  assert.deepEqual(resizedSize(375, 500, resize), { width: 256, height: 341 }); // 341.33…
  assert.deepEqual(resizedSize(300, 299, resize), { width: 256, height: 256 }); // 256.86…
  assert.deepEqual(resizedSize(7, 7, resize), { width: 256, height: 256 });
});

test('the tensor is NHWC and each float32 step is rounded, for every pixel value', () => {
  const data = Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3));
  const image = { width: 256, height: 1, data };
  const single = new Float32Array(1);
  const f = (x: number): number => {
    single[0] = x;
    return single[0] ?? 0;
  };
  for (const transform of Object.values<EvalTransform>(evalTransforms)) {
    const out = normalizePixels(image, transform);
    assert.deepEqual(out.shape, [1, 1, 256, 3]);
    for (let i = 0; i < 768; i++) {
      let x = data[i] ?? 0;
      if (transform.scale === 1) x = f(x / 255);
      x = f(x - f(transform.mean[i % 3] ?? Number.NaN));
      assert.equal(out.data[i], f(x / f(transform.std[i % 3] ?? Number.NaN)));
    }
  }
});

test("mmpretrain's and Apple's normalization differ, by rounding only", () => {
  const image = seededImage(64, 64, 9);
  const a = normalizePixels(image, evalTransforms.apple).data;
  const b = normalizePixels(image, evalTransforms.mmpretrain).data;
  const worst = a.reduce((most, x, i) => Math.max(most, Math.abs(x - (b[i] ?? Number.NaN))), 0);
  assert.ok(worst > 0 && worst < 1e-6, `${worst}`);
});

test('CoreNet has no mean and std: values stay 0 to 1', () => {
  const { data } = normalizePixels(
    { width: 1, height: 1, data: Uint8Array.of(0, 51, 255) },
    evalTransforms.corenet,
  );
  assert.deepEqual([...data], [0, Math.fround(0.2), 1]);
});

test('resize and crop in one go equal the two steps, up, down and odd sizes', () => {
  const random = createRandom(8);
  for (let round = 0; round < 30; round++) {
    const image = seededImage(1 + random.integer(60), 1 + random.integer(60), round);
    const transform: EvalTransform = {
      ...evalTransforms.apple,
      resize: { kind: 'shortest', size: 8 + random.integer(30) },
      crop: { width: 1 + random.integer(40), height: 1 + random.integer(40) },
      interpolation: round % 2 ? 'bicubic' : 'bilinear',
    };
    const { width, height } = resizedSize(image.width, image.height, transform.resize);
    const { crop } = transform;
    const resized = resizeImage(image, width, height, transform.interpolation);
    const region = centerRegion(width, height, crop?.width ?? 0, crop?.height ?? 0);
    assert.deepEqual(fitImage(image, transform), cropImage(resized, region));
  }
});

test('a picture smaller than the crop is filled up with black before normalizing', () => {
  const white = { width: 2, height: 2, data: new Uint8Array(12).fill(255) };
  const transform: EvalTransform = {
    ...evalTransforms.corenet,
    resize: { kind: 'shortest', size: 2 },
    crop: { width: 5, height: 4 },
  };
  const out = applyTransform(white, transform);
  assert.deepEqual(out.shape, [1, 4, 5, 3]);
  const red = Array.from({ length: 4 }, (_, y) =>
    Array.from({ length: 5 }, (_, x) => out.data[(y * 5 + x) * 3]),
  );
  assert.deepEqual(red, [
    [0, 0, 0, 0, 0],
    [0, 1, 1, 0, 0],
    [0, 1, 1, 0, 0],
    [0, 0, 0, 0, 0],
  ]);
});
