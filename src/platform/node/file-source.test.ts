import assert from 'node:assert/strict';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { FormatError } from '../../errors.ts';
import { readCheckpoint } from '../../format/read-checkpoint.ts';
import { writeSafetensors } from '../../format/safetensors/safetensors-write.ts';
import { openFileSource } from './file-source.ts';

const folder = await mkdtemp(join(tmpdir(), 'mobileone-'));
after(() => rm(folder, { recursive: true }));

test('a file is read in ranges, and a checkpoint through them', async () => {
  const path = join(folder, 'x.safetensors');
  const raw = { dtype: 'u8', shape: [3], bytes: Uint8Array.of(7, 8, 9) } as const;
  await writeFile(path, writeSafetensors(new Map([['a', raw]])));
  const source = await openFileSource(path);
  assert.equal(source.name, path);
  assert.deepEqual([...(await source.read(source.size - 2, 2))], [8, 9]);
  await assert.rejects(source.read(source.size, 1), FormatError);
  const checkpoint = await readCheckpoint(source);
  assert.deepEqual(await checkpoint.tensors.get('a')?.read(), raw);
  await truncate(path, source.size - 1);
  await assert.rejects(async () => checkpoint.tensors.get('a')?.read(), /ended at/);
});

test('what is no file is refused', async () => {
  await assert.rejects(openFileSource(join(folder, 'absent')), FormatError);
  await assert.rejects(openFileSource(folder), /is not a file/);
});
