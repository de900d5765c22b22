import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { golden, skipWithout } from '../../../test/support/shared.ts';
import { imagenetClasses } from './class-names.ts';

test('1000 classes with their WordNet ids, ascending, and unique short names', () => {
  const classes = imagenetClasses();
  assert.equal(classes.length, 1000);
  assert.equal(new Set(classes.map((one) => one.shortName)).size, 1000);
  for (const [index, one] of classes.entries()) {
    assert.equal(one.index, index);
    assert.match(one.synset, /^n\d{8}$/);
    assert.ok(index === 0 || one.synset > (classes[index - 1]?.synset ?? ''));
    assert.ok(one.fullName.length > 1 && !/[|_\n]/.test(one.fullName + one.shortName));
  }
});

test('known classes', () => {
  const of = (index: number) => imagenetClasses()[index];
  assert.equal(of(12)?.fullName, 'house finch, linnet, Carpodacus mexicanus');
  assert.equal(of(12)?.shortName, 'house finch');
  assert.equal(of(62)?.fullName, 'rock python, rock snake, Python sebae');
  assert.equal(of(65)?.fullName, 'sea snake');
  assert.equal(of(957)?.shortName, 'pomegranate');
  assert.deepEqual([of(134)?.fullName, of(134)?.shortName], ['crane', 'crane (bird)']);
  assert.deepEqual([of(517)?.fullName, of(517)?.shortName], ['crane', 'crane (machine)']);
});

test('indices, ids and short names equal the reference list', { skip: skipWithout('data', 'labels') }, () => {
  const list: unknown = JSON.parse(readFileSync(golden('data', 'labels', 'imagenet1k.json'), 'utf8'));
  const ours = imagenetClasses().map(({ index, synset, shortName }) => ({ index, synset, name: shortName }));
  assert.deepEqual(ours, list);
});
