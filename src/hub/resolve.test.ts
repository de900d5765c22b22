import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sampleWeights } from '../../test/support/sample-weights.ts';
import { HubError } from '../errors.ts';
import type { ByteSource } from '../format/byte-source.ts';
import type { Fetch } from './http.ts';
import { createMemoryStore } from './memory-store.ts';
import { resolveModelName } from './models.ts';
import { addresses, resolveWeights } from './resolve.ts';
import type { CacheStore } from './store.ts';

const weights = sampleWeights(1000);
const fileOf = (name: string, bytes: Uint8Array): ByteSource => ({
  name,
  size: bytes.length,
  read: async (offset, length) => bytes.slice(offset, offset + length),
});
const noNetwork: Fetch = async () => {
  throw new TypeError('fetch failed', {
    cause: Object.assign(new Error('getaddrinfo ENOTFOUND huggingface.co'), { code: 'ENOTFOUND' }),
  });
};
const forbidden: Fetch = async (url) => assert.fail(`asked for ${url}`);
const body = (bytes: Uint8Array) => new Response(new Uint8Array(bytes));
const timm = 'mobileone_s0.apple_in1k';

async function storeWith(file: string, bytes: Uint8Array): Promise<CacheStore> {
  const store = createMemoryStore();
  const partial = await store.begin(file);
  await partial.append(bytes);
  await partial.commit();
  return store;
}

test('a name is downloaded once with its terms shown once, then comes from the cache', async () => {
  const store = createMemoryStore();
  const asked: string[] = [];
  const notices: string[] = [];
  const fetch: Fetch = async (url) => {
    asked.push(url);
    return body(weights);
  };
  const onNotice = (licence: { title: string }, entry: { name: string }) =>
    notices.push(`${entry.name}: ${licence.title}`);
  const first = await resolveWeights(timm, { store, fetch, onNotice });
  assert.equal(first.from, 'download');
  assert.equal(first.entry?.name, timm);
  assert.equal(first.location, store.locate(`${timm}.safetensors`));
  const second = await resolveWeights(`timm/${timm}`, { store, fetch: forbidden, onNotice });
  assert.equal(second.from, 'cache');
  assert.deepEqual(await second.file.read(0, weights.length), weights);
  assert.deepEqual(asked, [`https://huggingface.co/timm/${timm}/resolve/main/model.safetensors`]);
  assert.deepEqual(notices, [`${timm}: mobileone-license (timm, from Apple)`]);
});

test('without a network the error says what was tried and what to do', async () => {
  const store = createMemoryStore();
  const options = { store, fetch: noNetwork, retries: 1, backoffMs: 1, mirror: 'http://127.0.0.1:9/m/' };
  await assert.rejects(resolveWeights(timm, options), (error: unknown) => {
    assert.ok(error instanceof HubError);
    assert.equal(
      error.message,
      `hub: the weights of "${timm}" are not here.
Tried:
  http://127.0.0.1:9/m/${timm}.safetensors
    fetch failed (ENOTFOUND: getaddrinfo ENOTFOUND huggingface.co), after 2 attempts
  https://huggingface.co/timm/${timm}/resolve/main/model.safetensors
    fetch failed (ENOTFOUND: getaddrinfo ENOTFOUND huggingface.co), after 2 attempts
What helps:
  fetch https://huggingface.co/timm/${timm}/resolve/main/model.safetensors elsewhere and put it at memory:${timm}.safetensors
  or pass a file of your own with --weights FILE
  or name a server that has it with MOBILEONE_MIRROR=ADDRESS`,
    );
    return true;
  });
});

test('offline never asks the network, and serves what is cached', async () => {
  const options = { fetch: forbidden, offline: true };
  await assert.rejects(
    resolveWeights('s0', { ...options, store: createMemoryStore() }),
    /offline mode is on/,
  );
  const store = await storeWith(`${timm}.safetensors`, weights);
  assert.equal((await resolveWeights(timm, { ...options, store })).from, 'cache');
});

test('a page cached by hand under the name of weights is named, and replaced by the real file', async () => {
  const store = await storeWith(`${timm}.safetensors`, new TextEncoder().encode('<html>'));
  await assert.rejects(
    resolveWeights(timm, { store, offline: true }),
    /memory:mobileone_s0\.apple_in1k\.safetensors\n {4}it is an HTML/,
  );
  const found = await resolveWeights(timm, { store, fetch: async () => body(weights) });
  assert.equal(found.from, 'download');
  assert.equal((await store.open(`${timm}.safetensors`))?.size, weights.length);
});

test('a hash that does not fit keeps mmpretrain’s file out', async () => {
  const store = createMemoryStore();
  await assert.rejects(
    resolveWeights('s0', { store, fetch: async () => body(weights) }),
    /its SHA-256 should start with 0bc94952/,
  );
  assert.equal(await store.open(resolveModelName('s0').file), undefined);
});

test('a mirror is tried before the official address, as a folder or as a rewriting', () => {
  const entry = resolveModelName('mobileone_s1');
  const official = entry.urls[0] ?? '';
  assert.deepEqual(addresses(entry, undefined), [official]);
  assert.deepEqual(addresses(entry, 'https://m.invalid/w//'), [
    'https://m.invalid/w/mobileone_s1.pth.tar',
    official,
  ]);
  assert.deepEqual(
    addresses(entry, (url) => url.replace('docs-assets.developer.apple.com', 'm.invalid')),
    ['https://m.invalid/ml-research/datasets/mobileone/mobileone_s1.pth.tar', official],
  );
  assert.deepEqual(
    addresses(entry, () => undefined),
    [official],
  );
});

test('a path opens the file; a published file name keeps its entry', async () => {
  const store = createMemoryStore();
  const openFile = async (path: string) =>
    path.endsWith('mine.bin') || path.endsWith('.pth.tar') ? fileOf(path, weights) : undefined;
  const mine = await resolveWeights('./mine.bin', { store, openFile });
  assert.deepEqual([mine.from, mine.entry, mine.location], ['file', undefined, './mine.bin']);
  const apple = await resolveWeights('C:\\w\\mobileone_s2.pth.tar', { store, openFile });
  assert.equal(apple.entry?.name, 'mobileone_s2');
  await assert.rejects(resolveWeights('gone.pth', { store, openFile }), /there is no file "gone\.pth"/);
  await assert.rejects(resolveWeights('mobileon-s0', { store, openFile }), /Did you mean mobileone-s0/);
});

test('a path that holds no weights is refused with the reason', async () => {
  const openFile = async (path: string) =>
    fileOf(path, new TextEncoder().encode('version https://git-lfs.github'));
  await assert.rejects(
    resolveWeights('x.pth', { store: createMemoryStore(), openFile }),
    /"x\.pth" does not hold weights: it is a Git LFS pointer/,
  );
});
