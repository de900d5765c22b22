import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  floats,
  type PickleInput,
  pickle,
  tensorInput,
  torchLegacy,
  torchZip,
} from '../../test/support/checkpoint-fixtures.ts';
import { survives } from '../../test/support/hostile.ts';
import { golden, skipWithout } from '../../test/support/shared.ts';
import { createRandom } from '../tensor/random.ts';
import type { ByteSource } from './byte-source.ts';
import { readCheckpoint } from './read-checkpoint.ts';
import { writeSafetensors } from './safetensors/safetensors-write.ts';

// Thousands of expected errors: their stacks would take most of the time.
Error.stackTraceLimit = 0;

// Without checksums, so that damage reaches the readers behind them.
const read = (source: ByteSource) => readCheckpoint(source, { checksums: 'ignore' });

/** So many places of a file: all of a small one; of others the two ends, where headers and directories are. */
function places(size: number, count: number): number[] {
  if (size <= count) return Array.from({ length: size }, (_, i) => i);
  const random = createRandom(size);
  const third = Math.floor(count / 3);
  const front = Array.from({ length: third }, (_, i) => i);
  const back = Array.from({ length: third }, (_, i) => size - 1 - i);
  return [...front, ...back, ...Array.from({ length: third }, () => random.integer(size))];
}

async function assertHardened(bytes: Uint8Array, name: string, cuts: number, changes: number): Promise<void> {
  assert.ok(await survives(bytes, read), `${name} can be read`);
  for (const length of places(bytes.length, cuts)) {
    assert.ok(!(await survives(bytes.subarray(0, length), read)), `${name} cut at ${length} is refused`);
  }
  const random = createRandom(2);
  const changed = bytes.slice();
  for (const place of places(bytes.length, changes)) {
    const original = changed[place] ?? 0;
    for (const value of [original ^ (1 << random.integer(8)), random.uniform() < 0.5 ? 0xff : 0]) {
      changed[place] = value;
      await survives(changed, read);
    }
    changed[place] = original;
  }
}

const weights = new Map([
  ['conv.weight', tensorInput({ key: '0', shape: [2, 2], stride: [1, 2] })],
  ['conv.bias', tensorInput({ key: '1', shape: [1], offset: 1, elements: 2 })],
]);
const root: PickleInput = new Map([['state_dict', weights]]);
const storages = { 0: floats(1, 2, 3, 4), 1: floats(5, 6) };

test('generated files: cut anywhere refused, changed anywhere only typed errors', async () => {
  const f32 = (shape: number[], ...values: number[]) => ({
    dtype: 'f32' as const,
    shape,
    bytes: floats(...values),
  });
  const safetensors = writeSafetensors(
    new Map([
      ['conv.weight', f32([2, 2], 1, 2, 3, 4)],
      ['scalar', f32([], 7)],
    ]),
    { note: 'grüße' },
  );
  const legacy = torchLegacy(root, {
    0: { bytes: storages[0], elements: 4 },
    1: { bytes: storages[1], elements: 2 },
  });
  await assertHardened(safetensors, 'safetensors', 4096, 4096);
  await assertHardened(torchZip(root, storages), 'zip', 4096, 4096);
  await assertHardened(torchZip(root, storages, { zip64: true }), 'zip64', 4096, 400);
  await assertHardened(torchZip(root, storages, { deflate: true }), 'deflated zip', 4096, 200);
  await assertHardened(legacy, 'legacy', 4096, 4096);
});

test('a pickle cut at every byte inside a sound archive is refused', async () => {
  const whole = pickle(root);
  for (let length = 0; length < whole.length; length++) {
    assert.ok(!(await survives(torchZip(whole.slice(0, length), storages), read)));
  }
});

test('golden files: cut anywhere refused, changed anywhere only typed errors', {
  skip: skipWithout('data', 'weights-torch'),
}, async (t) => {
  const files = [
    ...['torch-2.13', 'burn-reader', 'candle'].flatMap((folder) => {
      const names = readdirSync(golden('data', 'weights-torch', folder));
      return names.filter((name) => !name.endsWith('.json')).map((name) => ['weights-torch', folder, name]);
    }),
    ['weights-torch', 'torch-2.13-unusual', 'deflated.pth'],
    ...['mixed', 'multi_layer', 'proto_key', 'test_deserialization'].map((name) => [
      'weights-safetensors',
      `${name}.safetensors`,
    ]),
  ];
  // The files of burn-reader are many and alike, so fewer places of each are tried.
  const effort = (file: readonly string[]): readonly [cuts: number, changes: number] =>
    file.includes('burn-reader') ? [300, 30] : [4096, 60];
  for (const file of files) {
    const bytes = Uint8Array.from(readFileSync(golden('data', ...file)));
    await t.test(file.at(-1), () => assertHardened(bytes, file.join('/'), ...effort(file)));
  }
});
