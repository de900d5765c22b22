import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FormatError } from '../errors.ts';
import { memorySource } from '../format/byte-source.ts';
import { writeSafetensors } from '../format/safetensors/safetensors-write.ts';
import { writeWeights } from '../format/weights-file.ts';
import { mobileOneConfig } from '../model/config.ts';
import { initialWeights } from '../model/initialize.ts';
import { buildMobileOne } from '../model/mobileone.ts';
import { inspectCheckpoint } from './inspect-checkpoint.ts';

const config = mobileOneConfig('s0', { widths: [0.1, 0.1, 0.1, 0.05], pairs: [1, 1, 1, 1], classes: 3 });
const graph = buildMobileOne(config, { form: 'train', height: 32, width: 32 });
const weights = initialWeights(graph, 'timm', 1);

test('a whole MobileOne: family, form, configuration, our names', async () => {
  const found = await inspectCheckpoint(memorySource(writeWeights(weights, 'corenet')));
  assert.deepEqual([found.net?.family, found.net?.form, found.net?.config], ['corenet', 'train', config]);
  assert.equal(found.net?.match.complete, true);
  assert.equal(found.tensors.find(({ canonical }) => canonical === 'stem.conv.0.weight')?.dtype, 'f32');
});

test('a part of one: what is missing, and why', async () => {
  const part = new Map([...weights].filter(([name]) => !name.startsWith('head.')));
  const headless = await inspectCheckpoint(memorySource(writeWeights(part, 'timm')));
  assert.deepEqual([headless.net?.config.classes, headless.net?.match.complete], [0, true]);
  const holed = new Map([...weights].filter(([name]) => name !== 'stages.1.0.scale.weight'));
  const { net } = await inspectCheckpoint(memorySource(writeWeights(holed, 'timm')));
  assert.deepEqual(net?.match.missing, ['stages.1.0.scale.weight']);
});

test('no MobileOne at all is described too; no checkpoint is refused', async () => {
  const bytes = new Uint8Array(8);
  const file = writeSafetensors(new Map([['x', { dtype: 'i64', shape: [1], bytes }]]), {
    'mobileone.labels': '{',
  });
  const found = await inspectCheckpoint(memorySource(file));
  assert.equal(found.net, undefined);
  assert.match(found.reason ?? '', /no known MobileOne/);
  assert.match(found.metadataFault ?? '', /JSON list of class names/);
  assert.deepEqual(found.tensors, [{ name: 'x', dtype: 'i64', shape: [1], canonical: undefined }]);
  await assert.rejects(inspectCheckpoint(memorySource(new Uint8Array(20))), FormatError);
});
