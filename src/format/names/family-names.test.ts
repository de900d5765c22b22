import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { golden, skipWithout } from '../../../test/support/shared.ts';
import { WeightsError } from '../../errors.ts';
import { detectFamily, toCanonicalNames, toFamilyNames } from './family-names.ts';
import { type Family, families } from './key-maps.ts';

/** Names of a small net with everything in it: stem, a skip-less and a skipped block, two branches, SE, head. */
const train = [
  'stem.conv.0.weight',
  ...norm('stem.conv.0.bn'),
  'stem.scale.weight',
  ...norm('stem.scale.bn'),
  ...['conv.0', 'conv.1', 'scale'].flatMap((path) => [
    `stages.2.10.${path}.weight`,
    ...norm(`stages.2.10.${path}.bn`),
  ]),
  ...norm('stages.2.10.skip.bn'),
  ...['squeeze.weight', 'squeeze.bias', 'excite.weight', 'excite.bias'].map((x) => `stages.2.10.se.${x}`),
  'head.weight',
  'head.bias',
];

function norm(path: string): string[] {
  return ['gamma', 'beta', 'mean', 'variance'].map((name) => `${path}.${name}`);
}

const isTracked = (name: string): boolean => name.endsWith('.num_batches_tracked');

test('names go to every family and come back', () => {
  for (const family of families) {
    const written = toFamilyNames([...train].reverse(), family);
    const counters = written.filter(({ canonical }) => canonical === null);
    assert.equal(counters.length, family === 'mobileone' ? 0 : 6);
    assert.ok(counters.every(({ name }) => isTracked(name)));
    const names = written.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    const back = toCanonicalNames(names, family);
    assert.deepEqual(new Set(back.names.values()), new Set(train));
    for (const { name, canonical } of written) assert.equal(back.names.get(name) ?? null, canonical);
    assert.deepEqual(back.unknown, []);
    assert.deepEqual(detectFamily(names), { family, form: 'train' });
  }
});

test('one block in the words of each family', () => {
  const first = (family: Family, name: string) => toFamilyNames([name], family)[0]?.name;
  const excite = 'stages.2.10.se.excite.weight';
  assert.equal(first('apple', excite), 'stage3.10.se.expand.weight');
  assert.equal(first('mmpretrain', excite), 'backbone.stage3.10.se.conv2.conv.weight');
  assert.equal(first('timm', excite), 'stages.2.10.attn.fc2.weight');
  assert.equal(first('corenet', excite), 'layer_4.10.se.se_layer.fc2.block.conv.weight');
  assert.equal(first('corenet', 'stem.weight'), 'conv_1.reparam_conv.weight');
  assert.equal(first('mobileone', 'stages.0.0.bias'), 'stages.0.0.bias');
});

test('names of other nets are refused with what they look like', () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['conv1.weight', 'layer1.0.conv1.weight'], /a ResNet/],
    [['model.0.conv.weight'], /a YOLO/],
    [['encoder.stem.reparam_conv.weight'], /timm behind the prefix "encoder\."/],
    [['module.stage0.reparam_conv.weight'], /ml-mobileone behind the prefix "module\."/],
    [['head.fc.weight', 'head.fc.bias'], /no known MobileOne/],
    [[], /no tensors/],
    [['stage0.reparam_conv.weight', 'stage1.0.rbr_skip.weight'], /1 names are of the deploy form and 1/],
  ];
  for (const [names, message] of cases) {
    assert.throws(
      () => detectFamily(names),
      (error) => error instanceof WeightsError && message.test(error.message),
    );
  }
});

test('odd numbers and foreign suffixes are unknown, never misread', () => {
  const names = [
    'stage0.rbr_conv.00.conv.weight',
    'stage1.-1.reparam_conv.weight',
    'stage1.0.reparam_conv.weight.x',
    'stage1.0.rbr_scale.0.conv.weight',
    'linear.running_mean',
    'layer_1.0.reparam_conv.weight',
    '__proto__',
  ];
  assert.deepEqual(toCanonicalNames(names, 'apple').unknown, names);
  assert.deepEqual(toCanonicalNames(['layer_1.0.reparam_conv.weight'], 'corenet').unknown.length, 1);
  assert.throws(() => toFamilyNames(['stage0.reparam_conv.weight'], 'timm'), WeightsError);
});

test('the state dicts of all families, forms and variants', {
  skip: skipWithout('reference', 'keys'),
}, () => {
  const files = readdirSync(golden('reference', 'keys'));
  assert.equal(files.length, 40);
  const canonicalOf = new Map<string, string>();
  for (const file of files) {
    const [family, variant, form] = file.replace('.json', '').split('_');
    const shapes: Record<string, number[]> = JSON.parse(
      readFileSync(golden('reference', 'keys', file), 'utf8'),
    );
    const names = Object.keys(shapes);
    const detected = detectFamily(names);
    assert.deepEqual(detected, { family, form });
    const { names: ours, ignored, unknown } = toCanonicalNames(names, detected.family);
    assert.deepEqual(unknown, []);
    assert.deepEqual(ignored, names.filter(isTracked));
    assert.equal(new Set(ours.values()).size, names.length - ignored.length);
    const shuffled = [...ours.values()].sort();
    assert.deepEqual(
      toFamilyNames(shuffled, detected.family).map(({ name }) => name),
      names,
      file,
    );
    // All four families describe the same net: same names of ours with the same shapes.
    const described = JSON.stringify([...ours].map(([name, own]) => [own, shapes[name]]).sort());
    const key = `${variant} ${form}`;
    assert.equal(described, canonicalOf.get(key) ?? described, file);
    canonicalOf.set(key, described);
  }
  assert.equal(canonicalOf.size, 10);
});
