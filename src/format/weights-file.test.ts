import assert from 'node:assert/strict';
import { test } from 'node:test';
import { floats, type PickleInput, tensorInput, torchZip } from '../../test/support/checkpoint-fixtures.ts';
import { FormatError, WeightsError } from '../errors.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { memorySource } from './byte-source.ts';
import { families } from './names/key-maps.ts';
import { readCheckpoint } from './read-checkpoint.ts';
import { readWeights, writeWeights } from './weights-file.ts';

const weights = new Map<string, Tensor>([
  ['stem.conv.0.weight', { shape: [1, 1, 1, 1], data: Float32Array.of(0.5) }],
  ['stem.conv.0.bn.gamma', { shape: [1], data: Float32Array.of(1.5) }],
  ['stem.conv.0.bn.variance', { shape: [1], data: Float32Array.of(-2) }],
  ['head.bias', { shape: [2], data: Float32Array.of(3, 4) }],
]);

test('weights written under any names are read back under ours', async () => {
  for (const family of families) {
    const bytes = writeWeights(weights, family, { form: 'train' });
    const checkpoint = await readCheckpoint(memorySource(bytes));
    const tracked = [...checkpoint.tensors.values()].filter(({ dtype }) => dtype === 'i64');
    assert.equal(tracked.length, family === 'mobileone' ? 0 : 1);
    const read = await readWeights(checkpoint);
    assert.deepEqual(
      { ...read, weights: new Map([...read.weights].sort()) },
      {
        family,
        form: 'train',
        unknown: [],
        weights: new Map([...weights].sort()),
      },
    );
  }
  const half = await readCheckpoint(memorySource(writeWeights(weights, 'apple', {}, 'f16')));
  assert.equal(half.tensors.get('stage0.rbr_conv.0.conv.weight')?.dtype, 'f16');
  assert.deepEqual((await readWeights(half)).weights.get('head.bias'), weights.get('head.bias'));
});

test('a torch file of mmpretrain, with a name it should not have', async () => {
  const dict = (entries: Readonly<Record<string, PickleInput>>): PickleInput =>
    new Map(Object.entries(entries));
  const root = dict({
    state_dict: dict({
      'backbone.stage0.branch_reparam.bias': tensorInput({ key: '0', shape: [2] }),
      'data_preprocessor.mean': tensorInput({ key: '0', shape: [2] }),
    }),
  });
  const read = await readWeights(await readCheckpoint(memorySource(torchZip(root, { 0: floats(1, 2) }))));
  assert.deepEqual(read, {
    family: 'mmpretrain',
    form: 'deploy',
    unknown: ['data_preprocessor.mean'],
    weights: new Map([['stem.bias', { shape: [2], data: Float32Array.of(1, 2) }]]),
  });
  const storage = 'torch ComplexFloatStorage';
  const complex = dict({ 'stage0.reparam_conv.bias': tensorInput({ key: '0', shape: [1], storage }) });
  const checkpoint = await readCheckpoint(memorySource(torchZip(complex, { 0: floats(1, 2) })));
  await assert.rejects(readWeights(checkpoint), FormatError);
});

test('foreign names are refused', async () => {
  const checkpoint = await readCheckpoint(memorySource(torchZip(new Map(), {})));
  await assert.rejects(readWeights(checkpoint), WeightsError);
  assert.throws(
    () => writeWeights(new Map([['x', { shape: [], data: new Float32Array(1) }]]), 'timm'),
    WeightsError,
  );
});
