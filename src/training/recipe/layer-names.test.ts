import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFrozen, layerOf, layersOf } from './layer-names.ts';

test('layers of parameters', () => {
  assert.equal(layerOf('stages.0.1.conv.2.bn.gamma'), 'stages.0.1');
  assert.equal(layerOf('stem.weight'), 'stem');
  assert.equal(layerOf('stages.3.10.se.squeeze.bias'), 'stages.3.10');
  assert.deepEqual(
    layersOf(['stem.conv.0.weight', 'stem.conv.0.bn.gamma', 'stages.0.0.weight', 'head.bias']),
    ['stem', 'stages.0.0', 'head'],
  );
});

test('freeze levels reach from the stem as far as they say', () => {
  const layers = ['stem', 'stages.0.3', 'stages.1.0', 'stages.3.1', 'head'];
  const frozen = (freeze: string) => layers.filter((layer) => isFrozen(freeze, layer));
  assert.deepEqual(frozen('none'), []);
  assert.deepEqual(frozen('stem'), ['stem']);
  assert.deepEqual(frozen('stage2'), ['stem', 'stages.0.3', 'stages.1.0']);
  assert.deepEqual(frozen('backbone'), layers.slice(0, -1));
  for (const head of ['deeplab', 'auxiliary', 'ssd']) assert.ok(!isFrozen('backbone', head), head);
});
