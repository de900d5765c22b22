import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
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
  assert.deepEqual((await readdir(join(root, 'a', 'b'))).sort(), ['.claim', 'config.json', 'plots']);
});

test('what a crash left half-written is removed', async () => {
  const path = join(root, 'crashed');
  const store = await openRunFolder(path);
  await store.write('last.safetensors', 'whole');
  await writeFile(join(path, '.last.safetensors.77.part'), 'ha');
  await openRunFolder(path);
  assert.deepEqual((await readdir(path)).sort(), ['.claim', 'last.safetensors']);
});

test('a folder that another process trains in is refused; one that is gone leaves it', async () => {
  const path = join(root, 'shared');
  const other = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)']);
  await mkdir(path);
  await writeFile(join(path, '.claim'), `${other.pid} ${hostname()}`);
  await assert.rejects(openRunFolder(path), new RegExp(`process ${other.pid} trains in this folder`));
  other.kill('SIGKILL');
  await once(other, 'exit');
  const store = await openRunFolder(path);
  await store.write('file', 'ours');
  assert.equal(await readFile(join(path, '.claim'), 'utf8'), `${process.pid} ${hostname()}`);
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
