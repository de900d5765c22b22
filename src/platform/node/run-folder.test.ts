import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { TrainingError } from '../../errors.ts';
import { openRunFolder } from './run-folder.ts';

const root = await mkdtemp(join(tmpdir(), 'mobileone-run-'));
after(() => rm(root, { recursive: true }));

test('files are read back, replaced, and put in folders', async () => {
  const store = await openRunFolder(join(root, 'a', 'b'));
  assert.equal(await store.read('config.json'), undefined);
  await store.write('config.json', 'old');
  await store.write('config.json', '{}');
  await store.write('plots/loss.svg', Uint8Array.of(1, 2));
  assert.deepEqual(new Uint8Array((await store.read('plots/loss.svg')) ?? []), Uint8Array.of(1, 2));
  assert.deepEqual((await readdir(join(root, 'a', 'b'))).sort(), ['config.json', 'plots']);
});

test('what a crash left half-written is removed', async () => {
  const path = join(root, 'crashed');
  const store = await openRunFolder(path);
  await store.write('last.safetensors', 'whole');
  await writeFile(join(path, '.last.safetensors.77.part'), 'ha');
  await openRunFolder(path);
  assert.deepEqual(await readdir(path), ['last.safetensors']);
});

test('what cannot be written is a typed error and leaves the old file', async () => {
  const path = join(root, 'full');
  const store = await openRunFolder(path);
  await store.write('last.safetensors', 'whole');
  await store.write('file', 'no folder');
  await assert.rejects(store.write('file/inside', 'x'), TrainingError);
  await assert.rejects(openRunFolder(join(path, 'file')), TrainingError);
  if (process.getuid?.() !== 0) {
    await chmod(path, 0o500);
    await assert.rejects(store.write('last.safetensors', 'new'), TrainingError);
    await chmod(path, 0o700);
  }
  assert.equal(new TextDecoder().decode(await store.read('last.safetensors')), 'whole');
  assert.equal(await store.read('file/inside'), undefined);
});
