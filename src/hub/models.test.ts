import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HubError } from '../errors.ts';
import { editDistance } from './edit-distance.ts';
import { licences } from './licences.ts';
import { findModelByFile, listModels, models, resolveModelName, suggestModels } from './models.ts';
import { checkKey } from './store.ts';

test('the table holds 26 checkpoints, no two with a name, alias, file or address in common', () => {
  assert.equal(models.length, 26);
  const once = (values: readonly string[]) => assert.equal(new Set(values).size, values.length);
  once(models.flatMap((entry) => [entry.name, ...entry.aliases]).map((name) => name.toLowerCase()));
  once(models.map((entry) => entry.file));
  once(models.flatMap((entry) => entry.urls));
});

test('every entry can be downloaded, shown and explained', () => {
  for (const entry of models) {
    assert.equal(checkKey(entry.file), entry.file);
    assert.ok(entry.urls.length > 0);
    for (const url of entry.urls) assert.equal(new URL(url).protocol, 'https:');
    assert.ok(licences[entry.licence].notice.length > 0);
    assert.ok(entry.accuracy.top1 > 71 && entry.accuracy.top1 < 80);
    assert.equal(findModelByFile(entry.file), entry);
    // mmpretrain puts the digits into the file name: one cannot change without the other.
    if (entry.sha256Prefix) assert.ok(entry.file.endsWith(`-${entry.sha256Prefix}.pth`));
    assert.equal(entry.sha256Prefix !== undefined, entry.family === 'mmpretrain');
  }
});

test('names of all families resolve, in any case of letters', () => {
  const cases: readonly [name: string, file: string][] = [
    ['mobileone-s0_8xb32_in1k', 'mobileone-s0_8xb32_in1k_20221110-0bc94952.pth'],
    ['s4', 'mobileone-s4_8xb32_in1k_20221110-28d888cb.pth'],
    [' MobileOne-S2 ', 'mobileone-s2_8xb32_in1k_20221110-9c7ecb97.pth'],
    ['mobileone-s0_3rdparty_8xb128_in1k', 'mobileone-s0_3rdparty_in1k_20220915-007ae971.pth'],
    ['mobileone_s1.apple_in1k', 'mobileone_s1.apple_in1k.safetensors'],
    ['timm/mobileone_s1.apple_in1k', 'mobileone_s1.apple_in1k.safetensors'],
    ['mobileone_s3', 'mobileone_s3.pth.tar'],
    ['mobileone_s3_unfused', 'mobileone_s3_unfused.pth.tar'],
    ['corenet-mobileone-s1', 'corenet-mobileone-s1.pt'],
  ];
  for (const [name, file] of cases) assert.equal(resolveModelName(name).file, file, name);
});

test('the transform follows the family, and in timm the variant', () => {
  assert.equal(resolveModelName('mobileone_s0.apple_in1k').transform, 'timm-s0');
  assert.equal(resolveModelName('mobileone_s1.apple_in1k').transform, 'timm');
  assert.equal(resolveModelName('corenet-mobileone-s1').transform, 'corenet');
  assert.equal(resolveModelName('s0').transform, 'mmpretrain');
});

test('an unknown name is answered with the nearest ones', () => {
  assert.deepEqual(suggestModels('mobilone-s0', 1), ['mobileone-s0']);
  assert.deepEqual(suggestModels('mobileone_s0.apple', 1), ['mobileone_s0.apple_in1k']);
  assert.deepEqual(suggestModels('s9'), ['s0', 's1', 's2']);
  assert.deepEqual(suggestModels('resnet-fifty-something'), []);
  assert.throws(
    () => resolveModelName('mobileone_s5'),
    (error: unknown) => {
      assert.ok(error instanceof HubError);
      assert.match(error.message, /no model is called "mobileone_s5"\. Did you mean mobileone_s0, /);
      return true;
    },
  );
  assert.throws(() => resolveModelName('vit'), /The shortest names are s0, s1, s2, s3 and s4/);
});

test('wildcards list, and a bare prefix does too', () => {
  const names = (pattern?: string) => listModels(pattern).map((entry) => entry.name);
  assert.equal(names().length, 26);
  assert.deepEqual(names('*s0*unfused'), ['mobileone_s0_unfused']);
  assert.equal(names('timm/').length, 5);
  assert.deepEqual(names('mobileone_s?.apple_in1k').length, 5);
  assert.deepEqual(names('MOBILEONE-S0_8'), ['mobileone-s0_8xb32_in1k']);
  assert.deepEqual(names('(.*'), []);
});

test('edit distance', () => {
  for (const [a, b, distance] of [
    ['', '', 0],
    ['', 'abc', 3],
    ['kitten', 'sitting', 3],
    ['flaw', 'lawn', 2],
    ['same', 'same', 0],
  ] as const) {
    assert.equal(editDistance(a, b), distance);
    assert.equal(editDistance(b, a), distance);
  }
});
