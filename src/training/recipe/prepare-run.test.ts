import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tinyConfig, tinyModel, tinyWeights } from '../../../test/support/tiny-run.ts';
import { UsageError } from '../../errors.ts';
import type { CheckpointNet } from '../../task/read-net.ts';
import { prepareRun, type RunPlan } from './prepare-run.ts';
import { checkRunConfig } from './run-config.ts';

const plan: RunPlan = {
  labels: ['cat', 'dog', 'eel'],
  data: { name: 'pets', train: 900, validation: 100, holdOut: null },
};
const narrow = { widths: [0.125, 0.0625, 0.03125, 0.015625], branches: 1 };
const from: CheckpointNet = {
  container: 'safetensors',
  family: 'mobileone',
  form: 'train',
  config: tinyModel,
  weights: tinyWeights(5),
  metadata: { labels: ['dark', 'bright'], transform: tinyConfig().transform },
};

test('fresh: S0 and the small recipe, at the size the pictures have', () => {
  const { config, newHead } = prepareRun({ ...plan, shortSide: 70 });
  assert.equal(config.model.name, 'mobileone-s0');
  assert.equal(config.model.classes, 3);
  assert.equal(config.recipe.name, 'small');
  assert.deepEqual(config.recipe.evaluation, { size: 64, resize: 73 });
  assert.deepEqual(config.transform.crop, { width: 64, height: 64 });
  assert.equal(newHead, true);
  assert.deepEqual(checkRunConfig(JSON.parse(JSON.stringify(config)), 'config'), config);
  assert.equal(prepareRun({ ...plan, model: narrow, shortSide: 900 }).config.recipe.evaluation.size, 128);
  const epochs = (train: number) =>
    prepareRun({ ...plan, model: narrow, data: { ...plan.data, train } }).config.recipe;
  assert.deepEqual(
    [20, 200, 2000, 50_000].map(epochs).map((recipe) => [recipe.epochs, recipe.batch]),
    [
      [200, 4],
      [200, 16],
      [60, 32],
      [30, 32],
    ],
  );
  const big = prepareRun({ ...plan, variant: 's2', data: { ...plan.data, train: 1_281_167 } });
  assert.equal(big.config.recipe.name, 'mmpretrain');
  assert.equal(big.config.recipe.phases.length, 3);
});

test('what is asked for goes over the recipe, overrides last', () => {
  const { recipe } = prepareRun({
    ...plan,
    model: narrow,
    epochs: 10,
    batch: 8,
    size: 96,
    seed: 7,
    set: ['batch=16', 'average=null'],
  }).config;
  assert.deepEqual([recipe.epochs, recipe.batch, recipe.seed, recipe.average], [10, 16, 7, null]);
  assert.deepEqual(
    recipe.phases.map(({ epoch, size }) => [epoch, size]),
    [
      [0, 64],
      [5, 96],
    ],
  );
  assert.throws(() => prepareRun({ ...plan, model: narrow, freeze: 'tail' }), UsageError);
});

test('from weights: their net and normalization; a new head unless the classes are the same', () => {
  const other = prepareRun({ ...plan, from: { net: from, name: 'run.safetensors' } });
  assert.equal(other.newHead, true);
  assert.deepEqual(other.weights.get('head.weight')?.shape[0], 3);
  assert.equal(other.weights.get('stem.conv.0.weight'), from.weights.get('stem.conv.0.weight'));
  assert.deepEqual(other.config.transform.mean, [0, 0, 0]);
  assert.equal(other.config.recipe.name, 'fine-tune');
  const same = prepareRun({ ...plan, labels: ['dark', 'bright'], from: { net: from, name: 'x' } });
  assert.equal(same.newHead, false);
  assert.equal(same.weights.get('head.bias'), from.weights.get('head.bias'));
  assert.throws(() => prepareRun({ ...plan, variant: 's1', from: { net: from, name: 'x' } }), UsageError);
  assert.throws(
    () => prepareRun({ ...plan, model: { branches: 2 }, from: { net: from, name: 'x' } }),
    UsageError,
  );
});
