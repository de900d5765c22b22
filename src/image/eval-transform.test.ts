import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ImageError } from '../errors.ts';
import {
  checkEvalTransform,
  describeEvalTransform,
  evalTransforms,
  parseEvalTransform,
  resolveEvalTransform,
  serializeEvalTransform,
} from './eval-transform.ts';

test('every row survives being stored, and resolves by its name', () => {
  for (const [name, transform] of Object.entries(evalTransforms)) {
    assert.deepEqual(parseEvalTransform(serializeEvalTransform(transform)), transform);
    assert.deepEqual(resolveEvalTransform(name), transform);
  }
});

test('one line says it all', () => {
  assert.equal(
    describeEvalTransform(evalTransforms.mmpretrain),
    'resize short side 256 (bilinear), centre crop 224×224, RGB 0–255, mean 123.675 116.28 103.53, std 58.395 57.12 57.375',
  );
  assert.equal(
    describeEvalTransform({ ...evalTransforms['plain-224'], ...pick(evalTransforms.corenet) }),
    'resize 224×224 (bilinear), no crop, RGB 0–1, no mean or std',
  );
});

const pick = ({ mean, std }: typeof evalTransforms.corenet) => ({ mean, std });

test('stored text that is not a transform is refused, every fault named', () => {
  const apple = evalTransforms.apple;
  const faulty: [unknown, RegExp][] = [
    [{ ...apple, interpolation: 'nearest' }, /interpolation/],
    [{ ...apple, std: [0.2, 0, 0.2] }, /std\.1/],
    [{ ...apple, mean: [0.4, 0.4] }, /mean/],
    [{ ...apple, resize: { kind: 'shortest', size: 0.5 } }, /resize\.size/],
    [{ ...apple, resize: { kind: 'longest', size: 256 } }, /resize/],
    [{ ...apple, crop: { width: 1e9, height: 224 } }, /crop\.width/],
    [{ ...apple, scale: 2, gamma: 1 }, /scale.*gamma/],
    [null, /Object/],
    [[], /resize/],
  ];
  for (const [value, message] of faulty) {
    assert.throws(
      () => checkEvalTransform(value, 's0.safetensors'),
      (error) =>
        error instanceof ImageError &&
        error.message.startsWith('s0.safetensors: ') &&
        message.test(error.message),
    );
  }
  assert.throws(() => parseEvalTransform('{'), /expected JSON/);
});

test('another input size keeps the ratio of resize to crop', () => {
  const at256 = resolveEvalTransform('apple', { inputSize: 256 });
  assert.deepEqual(at256.resize, { kind: 'shortest', size: 292 });
  assert.deepEqual(at256.crop, { width: 256, height: 256 });
  assert.deepEqual(resolveEvalTransform('timm', { inputSize: 224 }), evalTransforms.timm);
  assert.deepEqual(resolveEvalTransform('plain-224', { inputSize: 96 }).resize, {
    kind: 'exact',
    width: 96,
    height: 96,
  });
  assert.throws(() => resolveEvalTransform('apple', { inputSize: 0 }), ImageError);
  assert.throws(() => resolveEvalTransform('aple'), /"aple" is not known; known are apple, mmpretrain/);
  assert.throws(() => resolveEvalTransform('toString'), ImageError);
});
