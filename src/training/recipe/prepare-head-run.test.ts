import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FormatError, UsageError } from '../../errors.ts';
import { mobileOneConfig } from '../../model/config.ts';
import { initialWeights } from '../../model/initialize.ts';
import { buildMobileOne } from '../../model/mobileone.ts';
import { reparameterize } from '../../transform/reparameterize.ts';
import { detectRecipes, segmentRecipes } from './joint-recipes.ts';
import { balancedWeights, prepareDetectRun, prepareSegmentRun } from './prepare-head-run.ts';
import { checkDetectRecipe, checkSegmentRecipe, withWholeSize } from './recipe.ts';
import { checkRunConfig } from './run-config.ts';

const narrow = { widths: [0.125, 0.0625, 0.03125, 0.015625], pairs: [1, 1, 1, 1], branches: 1 };
const data = { name: 'streets', train: 400, validation: 100, holdOut: null };
const labels = ['background', 'car'];
const plan = { labels, data, model: narrow, shortSide: 360, aspect: 4 / 3 };

test('recipes are as their schemas say', () => {
  for (const [name, recipe] of Object.entries(segmentRecipes)) {
    assert.deepEqual(checkSegmentRecipe(recipe), recipe);
    assert.equal(recipe.name, name);
  }
  for (const recipe of Object.values(detectRecipes)) assert.deepEqual(checkDetectRecipe(recipe), recipe);
});

test('segmentation: whole pictures keep their shape, rates their share of it, few pictures are seen often', () => {
  const { config, fresh } = prepareSegmentRun(plan);
  assert.deepEqual(config.recipe.evaluation, { width: 352, height: 256 });
  assert.deepEqual(config.transform.resize, { kind: 'exact', width: 352, height: 256 });
  assert.equal(config.recipe.epochs, 30);
  assert.deepEqual(config.head, {
    ...{ task: 'segment', style: 'torchvision', channels: 128, rates: [6, 12, 18] },
    ...{ outputStride: 16, background: 0 },
  });
  assert.deepEqual(fresh, ['stem', 'stages', 'deeplab', 'auxiliary']);
  assert.deepEqual(checkRunConfig(JSON.parse(JSON.stringify(config)), 'config'), config);
  const tall = prepareSegmentRun({ ...plan, aspect: 0.5, size: 64 }).config;
  assert.deepEqual(tall.recipe.evaluation, { width: 64, height: 128 });
  assert.deepEqual(tall.head.rates, [2, 3, 5]);
  const small = prepareSegmentRun({ ...plan, shortSide: 70, set: ['loss.auxiliary=0', 'rate.base=0.1'] });
  assert.deepEqual([small.config.recipe.phases[0]?.size, small.config.recipe.rate.base], [64, 0.1]);
  assert.ok(![...small.weights.keys()].some((name) => name.startsWith('auxiliary')));
});

test('pixels of rare classes weigh more, 1 on average; classes that never occur harm nothing', () => {
  assert.equal(balancedWeights([90, 10], 0), undefined);
  assert.equal(balancedWeights([0, 0], 0.5), undefined);
  const [ground = 0, absent = 0, object = 0] = balancedWeights([900, 0, 100], 0.5) ?? [];
  assert.ok(Math.abs(object / ground - 3) < 1e-12 && Math.abs(0.9 * ground + 0.1 * object - 1) < 1e-12);
  assert.ok(absent > 0 && Number.isFinite(absent));
  const balanced = prepareSegmentRun({ ...plan, pixels: [900, 100], set: ['loss.balance=1'] }).config;
  assert.deepEqual(
    balanced.classWeights?.map((weight) => Number(weight.toFixed(9))),
    [0.555555556, 5],
  );
  assert.deepEqual(checkRunConfig(JSON.parse(JSON.stringify(balanced)), 'config'), balanced);
  assert.equal(
    prepareSegmentRun({ ...plan, pixels: [1, 9], set: ['loss.balance=0'] }).config.classWeights,
    undefined,
  );
});

test('earlier phases keep their ratio to the size', () => {
  const [recipe] = Object.values(segmentRecipes);
  assert.ok(recipe);
  const phases = [
    { epoch: 0, size: 128, strength: 0 },
    { epoch: 5, size: 256, strength: 1 },
  ];
  const { phases: found, evaluation } = withWholeSize({ ...recipe, phases }, 192, 1);
  assert.deepEqual([found.map(({ size }) => size), evaluation], [[96, 192], { width: 192, height: 192 }]);
});

test('from a classifier of either form: its backbone, a new head, its normalization', () => {
  const config = mobileOneConfig('s0', { ...narrow, classes: 5 });
  const graph = buildMobileOne(config, { form: 'train', height: 64, width: 64 });
  const trained = { graph, weights: initialWeights(graph, 'timm', 9) };
  const transform = { ...prepareSegmentRun(plan).config.transform, mean: [0.1, 0.2, 0.3] } as const;
  const { model: _, ...rest } = plan;
  for (const [form, { weights }] of [
    ['train', trained],
    ['deploy', reparameterize(trained)],
  ] as const) {
    const from = { name: 'photos', config, form, weights, transform };
    const made = prepareSegmentRun({ ...rest, from });
    assert.deepEqual(
      [made.config.form, made.config.from, made.fresh],
      [form, 'photos', ['deeplab', 'auxiliary']],
    );
    assert.deepEqual(made.config.transform.mean, [0.1, 0.2, 0.3]);
    for (const [name, tensor] of weights)
      if (/^(stem|stages)/.test(name)) assert.deepEqual(made.weights.get(name), tensor, name);
    assert.deepEqual(prepareDetectRun({ ...rest, from }).fresh, ['ssd']);
    assert.throws(() => prepareSegmentRun({ ...plan, from }), UsageError);
  }
});

test('what does not go together is refused', () => {
  assert.throws(() => prepareSegmentRun({ ...plan, recipe: 'small-detect' }), /there is small-segment/);
  assert.throws(() => prepareSegmentRun({ ...plan, set: ['augment.mixup=1'] }), /there is no "mixup"/);
  const { config } = prepareSegmentRun(plan);
  assert.throws(() => checkRunConfig({ ...config, task: 'detect' }, 'config'), UsageError);
  assert.throws(() => checkRunConfig({ ...config, head: undefined }, 'config'), FormatError);
});
