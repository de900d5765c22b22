import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { sampleWeights, sha256Hex } from '../../../test/support/sample-weights.ts';
import { testStore } from '../../../test/support/store-contract.ts';
import { serve, startUnrulyServer } from '../../../test/support/unruly-server.ts';
import { HubError } from '../../errors.ts';
import { download } from '../../hub/download.ts';
import { cacheFolder } from './cache-folder.ts';
import { createDiskStore } from './cache-store.ts';
import { findFile } from './file-source.ts';

const folders: string[] = [];
const newFolder = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mobileone-cache-'));
  folders.push(folder);
  return folder;
};
after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

const origin = { url: 'http://127.0.0.1/a', validator: '"1"', total: 6 };
const bytes = (text: string) => new TextEncoder().encode(text);

testStore('disk store', async () =>
  createDiskStore({ folder: join(await newFolder(), 'deep', 'er'), pollMs: 2 }),
);

test('disk store: a finished file leaves nothing else in the folder', async () => {
  const folder = await newFolder();
  const partial = await createDiskStore({ folder }).begin('a.pth');
  await partial.reset(origin);
  await partial.append(bytes('abcdef'));
  assert.deepEqual((await readdir(folder)).sort(), ['a.pth.lock', 'a.pth.part', 'a.pth.part.json']);
  await partial.commit();
  assert.deepEqual(await readdir(folder), ['a.pth']);
});

test('disk store: a process that died leaves bytes that are continued', async () => {
  const folder = await newFolder();
  await writeFile(join(folder, 'a.pth.part'), 'abc');
  await writeFile(join(folder, 'a.pth.part.json'), JSON.stringify(origin));
  const gone = spawn(process.execPath, ['--version']);
  await new Promise((resolve) => gone.on('exit', resolve));
  await writeFile(join(folder, 'a.pth.lock'), `${gone.pid} ${hostname()} token`);
  const abort = new AbortController();
  const tooLong = setTimeout(
    () => abort.abort(new Error('the lock of a dead process was respected')),
    20_000,
  );
  const partial = await createDiskStore({ folder }).begin('a.pth', abort.signal);
  clearTimeout(tooLong);
  assert.equal(partial.size, 3);
  assert.deepEqual(partial.origin, origin);
  await partial.append(bytes('def'));
  await partial.commit();
  assert.equal(await readFile(join(folder, 'a.pth'), 'utf8'), 'abcdef');
  assert.deepEqual(await readdir(folder), ['a.pth']);
});

test('disk store: another machine’s lock counts until it was not renewed for long', async () => {
  const folder = await newFolder();
  const lock = join(folder, 'a.pth.lock');
  await writeFile(lock, '1 another-machine token');
  const store = createDiskStore({ folder, pollMs: 2, staleMs: 60_000 });
  const abort = new AbortController();
  const waiting = assert.rejects(store.begin('a.pth', abort.signal), { message: 'enough' });
  setTimeout(() => abort.abort(new Error('enough')), 30);
  await waiting;
  const longAgo = new Date(Date.now() - 61_000);
  await utimes(lock, longAgo, longAgo);
  await (await store.begin('a.pth')).release();
  assert.deepEqual(await readdir(folder), []);
});

test('disk store: whoever lost the lock does not publish', async () => {
  const folder = await newFolder();
  const partial = await createDiskStore({ folder }).begin('a.pth');
  await partial.reset(origin);
  await partial.append(bytes('abcdef'));
  await writeFile(join(folder, 'a.pth.lock'), '1 another-machine token');
  await assert.rejects(partial.commit(), /another process took over/);
  await partial.release();
  assert.ok(!existsSync(join(folder, 'a.pth')));
  assert.ok(existsSync(join(folder, 'a.pth.lock')), 'the other holder keeps its lock');
});

test('disk store: a damaged note beside a partial file means starting over', async () => {
  for (const note of ['{', '[]', '{"url":1}', 'null', '""']) {
    const folder = await newFolder();
    await writeFile(join(folder, 'a.pth.part'), 'abc');
    await writeFile(join(folder, 'a.pth.part.json'), note);
    const partial = await createDiskStore({ folder }).begin('a.pth');
    assert.equal(partial.size, 0, note);
    await partial.release();
    assert.deepEqual(await readdir(folder), [], note);
  }
});

test('disk store: a full disk gets its room back', {
  skip: existsSync('/dev/full') ? false : 'no /dev/full on this system',
}, async () => {
  const folder = await newFolder();
  await symlink('/dev/full', join(folder, 'a.pth.part'));
  await writeFile(join(folder, 'a.pth.part.json'), JSON.stringify(origin));
  const partial = await createDiskStore({ folder }).begin('a.pth');
  await assert.rejects(partial.append(bytes('abc')), (error: unknown) => {
    assert.ok(error instanceof HubError);
    assert.match(error.message, /ENOSPC.*The disk is full; make room, or set MOBILEONE_CACHE/);
    return true;
  });
  await partial.release();
  assert.deepEqual(await readdir(folder), []);
});

test('disk store: a folder that cannot be made is a typed error with a remedy', async () => {
  const folder = await newFolder();
  await writeFile(join(folder, 'file'), '');
  const store = createDiskStore({ folder: join(folder, 'file', 'cache') });
  assert.equal(await store.open('a.pth'), undefined);
  await assert.rejects(store.begin('a.pth'), /cannot write.*MOBILEONE_CACHE/);
});

test('disk files: absent and folders are undefined; a file that shrank is an error', async () => {
  const folder = await newFolder();
  assert.equal(await findFile(join(folder, 'absent')), undefined);
  assert.equal(await findFile(folder), undefined);
  const path = join(folder, 'x');
  await writeFile(path, 'abcdef');
  const file = await findFile(path);
  await writeFile(path, 'abc');
  await assert.rejects(async () => file?.read(0, 6), /ended at 3, where 6 bytes were expected/);
});

test('two processes that want the same file download it once', async () => {
  const weights = sampleWeights(300_000);
  const server = await startUnrulyServer({
    '/slow': (request, response, times) => {
      setTimeout(() => serve(weights)(request, response, times), 150);
    },
  });
  try {
    const folder = await newFolder();
    const at = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
    const script = `
      import { download } from ${at('../../hub/download.js')};
      import { createDiskStore } from ${at('./cache-store.js')};
      const store = createDiskStore({ folder: ${JSON.stringify(folder)}, pollMs: 10 });
      const request = { file: 'a.safetensors', urls: ['${server.address}/slow'] };
      const { file } = await download(store, request);
      process.stdout.write(String(file?.size));`;
    const outputs = await Promise.all([1, 2].map(() => runModule(script)));
    assert.deepEqual(outputs, [String(weights.length), String(weights.length)]);
    assert.equal(server.seen.length, 1);
    assert.equal(sha256Hex(await readFile(join(folder, 'a.safetensors'))), sha256Hex(weights));
    assert.deepEqual(await readdir(folder), ['a.safetensors']);
  } finally {
    await server.close();
  }
});

function runModule(script: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.on('error', reject);
    child.on('exit', () => resolve(output));
  });
}

test('a refused file leaves the folder empty', async () => {
  const server = await startUnrulyServer({ '/html': (_, response) => response.end('<html>') });
  try {
    const folder = await newFolder();
    const store = createDiskStore({ folder });
    const request = { file: 'a.pth', urls: [`${server.address}/html`, `${server.address}/missing`] };
    const { file, attempts } = await download(store, request);
    assert.equal(file, undefined);
    assert.equal(attempts.length, 2);
    assert.deepEqual(await readdir(folder), []);
  } finally {
    await server.close();
  }
});

test('the cache folder follows the environment and the system', () => {
  const of = (env: Record<string, string>, platform: string) => cacheFolder(env, platform, '/home/u');
  assert.equal(of({}, 'linux'), join('/home/u', '.cache', 'mobileone'));
  assert.equal(of({ XDG_CACHE_HOME: '/x' }, 'linux'), join('/x', 'mobileone'));
  assert.equal(of({ XDG_CACHE_HOME: 'relative' }, 'linux'), join('/home/u', '.cache', 'mobileone'));
  assert.equal(of({}, 'darwin'), join('/home/u', 'Library', 'Caches', 'mobileone'));
  assert.equal(of({ LOCALAPPDATA: '/local' }, 'win32'), join('/local', 'mobileone', 'Cache'));
  assert.equal(of({}, 'win32'), join('/home/u', 'AppData', 'Local', 'mobileone', 'Cache'));
  assert.equal(of({ MOBILEONE_CACHE: '/mine', XDG_CACHE_HOME: '/x' }, 'linux'), '/mine');
});
