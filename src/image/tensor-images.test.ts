import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ShapeError } from '../errors.ts';
import { createRandom } from '../tensor/random.ts';
import { applyTransform } from './apply-transform.ts';
import { evalTransforms, resolveEvalTransform } from './eval-transform.ts';
import { tensorImages } from './tensor-images.ts';

test('pictures come back from what the transforms make of them', () => {
  const random = createRandom(2);
  const data = Uint8Array.from({ length: 16 * 16 * 3 }, () => random.integer(256));
  for (const name of ['apple', 'mmpretrain'] as const) {
    const base = resolveEvalTransform(evalTransforms[name]);
    const transform = { ...base, resize: { kind: 'exact', width: 16, height: 16 }, crop: null } as const;
    const tensor = applyTransform({ width: 16, height: 16, data }, transform);
    const [image] = tensorImages(tensor, transform);
    assert.deepEqual([...(image?.data ?? [])], [...data], name);
  }
});

test('values outside stay within 8 bits; a batch is as many pictures', () => {
  const plain = { scale: 1, mean: [0, 0, 0], std: [1, 1, 1] } as const;
  const images = tensorImages({ shape: [2, 1, 1, 3], data: Float32Array.of(-1, 0.5, 2, 0, 1, 0.2) }, plain);
  assert.deepEqual(
    images.map(({ data }) => [...data]),
    [
      [0, 128, 255],
      [0, 255, 51],
    ],
  );
  assert.throws(() => tensorImages({ shape: [1, 3, 2, 2], data: new Float32Array(12) }, plain), ShapeError);
});
