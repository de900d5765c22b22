import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { Family } from '../src/format/names/key-maps.ts';
import { inferConfig, mobileOneConfig, toCanonicalNames, toFamilyNames, variantNames } from '../src/index.ts';
import { parameterShapes } from '../src/task/read-net.ts';
import { golden, skipWithout } from './support/shared.ts';

const families: readonly Family[] = ['apple', 'mmpretrain', 'timm', 'corenet'];

/** Lists of key → shape in state-dict order, taken from the four public implementations. */
function publicKeys(
  family: Family,
  variant: string,
  form: string,
): readonly (readonly [string, readonly number[]])[] {
  const text = readFileSync(golden('reference', 'keys', `${family}_${variant}_${form}.json`), 'utf8');
  return Object.entries(JSON.parse(text));
}

describe('state dicts of the public implementations', () => {
  for (const family of families)
    for (const variant of variantNames)
      for (const form of ['train', 'deploy'] as const)
        test(`${family} ${variant} ${form}`, { skip: skipWithout('reference', 'keys') }, () => {
          const expected = publicKeys(family, variant, form);
          const shapes = parameterShapes(mobileOneConfig(variant), form);
          const ours = toFamilyNames(shapes.keys(), family).map(({ name, canonical }) => [
            name,
            canonical === null ? [] : shapes.get(canonical),
          ]);
          assert.deepEqual(ours, expected);

          const { names, unknown } = toCanonicalNames(
            expected.map(([name]) => name),
            family,
          );
          assert.deepEqual(unknown, []);
          const found = new Map(
            expected.flatMap(([name, shape]) => (names.has(name) ? [[names.get(name) ?? '', shape]] : [])),
          );
          const inferred = inferConfig(found);
          assert.deepEqual([inferred.form, inferred.config.name], [form, `mobileone-${variant}`]);
        });
});
