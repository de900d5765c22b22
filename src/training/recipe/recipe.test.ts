import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from '../../errors.ts';
import { checkRecipe, rateSchedule, withEpochs, withOverrides, withSize } from './recipe.ts';
import { namedRecipe, recipeNames } from './recipes.ts';

test('every recipe of every variant is sound and plain JSON', () => {
  for (const name of recipeNames)
    for (const variant of ['s0', 's1', 's2', 's3', 's4', 'other']) {
      const recipe = namedRecipe(name, variant);
      assert.deepEqual(checkRecipe(JSON.parse(JSON.stringify(recipe))), recipe);
    }
  assert.throws(() => namedRecipe('papier', 's0'), UsageError);
});

test('variants: S0 is plain, S2 grows pictures and strength', () => {
  assert.deepEqual(namedRecipe('mmpretrain', 's0').phases, [{ epoch: 0, size: 224, strength: 1 }]);
  assert.equal(namedRecipe('mmpretrain', 's0').augment.randAugment, null);
  const s2 = namedRecipe('mmpretrain', 's2');
  assert.deepEqual(
    s2.phases.map(({ epoch, size, strength }) => [epoch, size, +(7 * strength).toFixed(6)]),
    [
      [0, 160, 2.1],
      [36, 192, 4.9],
      [111, 224, 7],
    ],
  );
  assert.equal(namedRecipe('paper', 's3').augment.autoAugment, true);
  assert.equal(namedRecipe('paper', 's1').augment.autoAugment, false);
});

test('overrides: JSON, text, list items, null; others stay', () => {
  const recipe = withOverrides(namedRecipe('small', 's0'), [
    'rate.base=0.25',
    'average=null',
    'phases.0.size=64',
    'loss.kind=binaryCrossEntropy',
    'optimizer={"kind":"adamw","beta1":0.9,"beta2":0.999,"eps":1e-8}',
    'optimizer.beta2=0.95',
  ]);
  assert.equal(recipe.rate.base, 0.25);
  assert.equal(recipe.average, null);
  assert.equal(recipe.phases[0]?.size, 64);
  assert.equal(recipe.loss.kind, 'binaryCrossEntropy');
  assert.deepEqual(recipe.optimizer, { kind: 'adamw', beta1: 0.9, beta2: 0.95, eps: 1e-8 });
  assert.equal(recipe.rate.every, 'step');
});

test('overrides that do not fit say which key and what there is', () => {
  const recipe = namedRecipe('small', 's0');
  const fault = (override: string, message: RegExp): void =>
    assert.throws(
      () => withOverrides(recipe, [override]),
      (error: unknown) => error instanceof UsageError && message.test(error.message),
      override,
    );
  fault('rate.bas=1', /there is no "bas"; here there is base, decline/);
  fault('rate', /expected key=value/);
  fault('epochs=1.5', /epochs: .*integer/i);
  fault('epochs=many', /epochs: .*number/i);
  fault('rate.base=-1', /rate\.base/);
  fault('freeze=head', /none, stem, stage1/);
  fault('phases=[]', /phases/);
  fault('phases=[{"epoch":3,"size":96,"strength":1}]', /phases must start/);
  fault('__proto__.x=1', /there is no "__proto__"/);
  fault('optimizer.kind=lion', /optimizer/);
});

test('other epochs move phases and warm-up; other sizes keep ratios', () => {
  const s2 = namedRecipe('mmpretrain', 's2');
  const short = withEpochs(s2, 60);
  assert.deepEqual(
    short.phases.map(({ epoch }) => epoch),
    [0, 7, 22],
  );
  assert.equal(short.rate.warmUp.length, 1);
  assert.deepEqual(
    withEpochs(s2, 1).phases.map(({ size }) => size),
    [224],
  );
  const little = withSize(s2, 128);
  assert.deepEqual(
    little.phases.map(({ size }) => size),
    [96, 96, 128],
  );
  assert.deepEqual(little.evaluation, { size: 128, resize: 146 });
  checkRecipe(withEpochs(little, 1));
});

test('the learning rate follows the batch', () => {
  const recipe = { ...namedRecipe('mmpretrain', 's0'), batch: 64 };
  const { base, decline } = rateSchedule(recipe);
  assert.equal(base, 0.025);
  assert.deepEqual(decline, { kind: 'cosine', final: 2.5e-7 });
});

test('steps compute in f32 or with factors of bf16', () => {
  const recipe = namedRecipe('small', 's0');
  assert.equal(recipe.precision, 'f32');
  assert.equal(withOverrides(recipe, ['precision=bf16']).precision, 'bf16');
  assert.throws(() => withOverrides(recipe, ['precision=bf16x2']), /precision: expected f32 or bf16/);
});
