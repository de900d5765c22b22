import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sampleWeights, sha256Hex } from '../../test/support/sample-weights.ts';
import {
  cutConnections,
  serve,
  startUnrulyServer,
  type UnrulyServer,
} from '../../test/support/unruly-server.ts';
import { HubError } from '../errors.ts';
import { type DownloadOptions, type DownloadRequest, download } from './download.ts';
import { createMemoryStore } from './memory-store.ts';
import type { CacheStore } from './store.ts';
import type { DownloadProgress } from './transfer.ts';

const weights = sampleWeights(200_000);
const other = sampleWeights(200_000, 2);
const page = '<!DOCTYPE html><title>Not here</title>';
const quick = {
  backoffMs: 1,
  stallMs: 20_000,
  retries: 2,
  onProgress: ({ received }) => cutConnections(received),
} satisfies DownloadOptions;

let server: UnrulyServer;
before(async () => {
  server = await startUnrulyServer({
    '/good': serve(weights, { etag: '"v1"' }),
    '/no-validator-cut': (request, response, times) =>
      serve(weights, times === 0 ? { cutAfter: 50_000 } : {})(request, response, times),
    '/cut-once': (request, response, times) =>
      serve(weights, { etag: '"v1"', ...(times === 0 ? { cutAfter: 50_000 } : {}) })(
        request,
        response,
        times,
      ),
    '/cut-always': serve(weights, { etag: '"v1"', cutAfter: 30_000 }),
    '/cut-then-ignores-range': (request, response, times) =>
      serve(weights, { etag: '"v1"', ignoreRange: true, ...(times === 0 ? { cutAfter: 50_000 } : {}) })(
        request,
        response,
        times,
      ),
    // The file is replaced by another of the same length between the two requests.
    '/cut-then-changed': (request, response, times) =>
      serve(times === 0 ? other : weights, {
        etag: times === 0 ? '"v1"' : '"v2"',
        ...(times === 0 ? { cutAfter: 50_000 } : {}),
      })(request, response, times),
    // As above, but the server does not say that it changed: only content and hash can tell.
    '/cut-then-changed-silently': (request, response, times) =>
      serve(times === 0 ? other : weights, { etag: '"v1"', ...(times === 0 ? { cutAfter: 50_000 } : {}) })(
        request,
        response,
        times,
      ),
    '/wrong-offset': (request, response, times) => {
      if (request.headers.range === undefined)
        serve(weights, { etag: '"v1"', ...(times === 0 ? { cutAfter: 50_000 } : {}) })(
          request,
          response,
          times,
        );
      else {
        const range = { 'content-range': `bytes 10-${weights.length - 1}/${weights.length}`, etag: '"v1"' };
        response.writeHead(206, range).end(weights.subarray(10));
      }
    },
    '/416': (request, response, times) => {
      if (request.headers.range !== undefined) response.writeHead(416).end();
      else
        serve(weights, { etag: '"v1"', ...(times === 0 ? { cutAfter: 50_000 } : {}) })(
          request,
          response,
          times,
        );
    },
    '/html': (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end(page),
    '/json': (_, response) => response.end('{"error":"Repository not found"}'),
    '/lfs': (_, response) =>
      response.end('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n'),
    '/empty': (_, response) => response.end(),
    '/noise': (_, response) => response.end('just some words'),
    '/short-zip': (_, response) => response.end(`PK\x03\x04${'x'.repeat(100)}`),
    '/short-safetensors': (_, response) => response.end(weights.subarray(0, 60)),
    '/busy-once': (request, response, times) => {
      if (times === 0) response.writeHead(503, { 'retry-after': '0' }).end('busy');
      else serve(weights)(request, response, times);
    },
    '/busy': (_, response) => response.writeHead(500).end('broken'),
    '/throttled-once': (request, response, times) => {
      if (times === 0) response.writeHead(429).end();
      else serve(weights)(request, response, times);
    },
    '/hop1': (_, response) => response.writeHead(302, { location: '/hop2' }).end(),
    '/hop2': (_, response) => response.writeHead(307, { location: `${server.address}/good` }).end(),
    '/loop': (_, response) => response.writeHead(301, { location: '/loop' }).end(),
    '/nowhere': (_, response) => response.writeHead(302).end(),
    '/to-file': (_, response) => response.writeHead(302, { location: 'file:///etc/hostname' }).end(),
    '/silent': () => {},
    '/stalls': (_, response) => {
      response.writeHead(200, { 'content-length': weights.length });
      response.write(weights.subarray(0, 1000));
    },
    '/stalls-once': (request, response, times) => {
      if (times > 0) return serve(weights, { etag: '"v1"' })(request, response, times);
      response.writeHead(200, { 'content-length': weights.length, etag: '"v1"' });
      response.write(weights.subarray(0, 1000));
    },
    '/endless': (_, response) => {
      const more = () => {
        if (!response.destroyed) response.write(Buffer.alloc(65_536, 1), more);
      };
      more();
    },
    '/hangs-up': (request) => request.socket.destroy(),
  });
});
after(() => server.close());

const requestOf = (paths: readonly string[], sha256Prefix?: string): DownloadRequest => ({
  file: 'a.safetensors',
  urls: paths.map((path) => `${server.address}${path}`),
  ...(sha256Prefix === undefined ? {} : { sha256Prefix }),
});
const rangesOf = (path: string) => server.seen.filter((one) => one.path === path).map((one) => one.range);
const partSize = async (store: CacheStore) => {
  const partial = await store.begin('a.safetensors');
  const { size } = partial;
  await partial.release();
  return size;
};

async function mustGet(path: string, options: DownloadOptions = quick, prefix = sha256Hex(weights)) {
  const store = createMemoryStore();
  const result = await download(store, requestOf([path], prefix), options);
  assert.deepEqual(result.attempts, []);
  const file = await store.open('a.safetensors');
  assert.ok(file && result.file);
  assert.deepEqual(await file.read(0, file.size), weights);
}

async function mustRefuse(path: string, fault: RegExp, options: DownloadOptions = quick, prefix?: string) {
  const store = createMemoryStore();
  const result = await download(store, requestOf([path], prefix), options);
  assert.equal(result.file, undefined);
  assert.equal(await store.open('a.safetensors'), undefined, 'nothing bad may enter the cache');
  assert.match(result.attempts[0]?.fault ?? '', fault);
  assert.equal(result.attempts[0]?.from, `${server.address}${path}`);
  return store;
}

test('a good file arrives, with progress from nothing to all', async () => {
  const progress: DownloadProgress[] = [];
  await mustGet('/good', { ...quick, onProgress: (step) => progress.push(step) });
  assert.deepEqual(progress[0], {
    file: 'a.safetensors',
    url: `${server.address}/good`,
    received: 0,
    total: weights.length,
  });
  assert.equal(progress.at(-1)?.received, weights.length);
  assert.ok(progress.every((step, i) => i === 0 || step.received >= (progress[i - 1]?.received ?? 0)));
});

test('a cut connection is continued where it broke', async () => {
  await mustGet('/cut-once');
  assert.deepEqual(rangesOf('/cut-once'), [undefined, 'bytes=50000-']);
});

test('what a failed run left is continued by the next', async () => {
  const store = await mustRefuse('/cut-always', /after 3 attempts/);
  assert.deepEqual(rangesOf('/cut-always'), [undefined, 'bytes=30000-', 'bytes=60000-']);
  assert.equal(await partSize(store), 90_000);
  const result = await download(store, requestOf(['/cut-always'], sha256Hex(weights)), {
    ...quick,
    retries: 9,
  });
  assert.equal(rangesOf('/cut-always')[3], 'bytes=90000-');
  assert.deepEqual(await result.file?.read(0, weights.length), weights);
});

test('without a validator a broken transfer starts over', async () => {
  await mustGet('/no-validator-cut');
  assert.deepEqual(rangesOf('/no-validator-cut'), [undefined, undefined]);
});

test('a server that ignores Range gives the whole file anew', async () => {
  await mustGet('/cut-then-ignores-range');
  assert.deepEqual(rangesOf('/cut-then-ignores-range'), [undefined, 'bytes=50000-']);
});

test('a file that changed in between is not stitched together', async () => {
  // Without a hash, so that only the validator can tell.
  await mustGet('/cut-then-changed', quick, '');
  assert.deepEqual(rangesOf('/cut-then-changed'), [undefined, 'bytes=50000-', undefined]);
});

test('a stitched file that the hash unmasks is fetched once more from the start', async () => {
  await mustGet('/cut-then-changed-silently');
  assert.deepEqual(rangesOf('/cut-then-changed-silently'), [undefined, 'bytes=50000-', undefined]);
});

test('a part that starts elsewhere and a refused range start over', async () => {
  await mustGet('/wrong-offset');
  await mustGet('/416');
});

test('passing faults are tried again, lasting ones reported with their count', async () => {
  await mustGet('/busy-once');
  await mustGet('/throttled-once');
  await mustRefuse('/busy', /^HTTP 500 Internal Server Error, after 3 attempts$/);
  await mustRefuse('/hangs-up', /fetch failed.*, after 3 attempts$/);
  await mustRefuse('/missing', /^HTTP 404 Not Found$/);
});

test('pages, error objects, pointers and cut-off files are refused', async () => {
  await mustRefuse('/html', /HTML/);
  await mustRefuse('/json', /JSON text.*Repository not found/);
  await mustRefuse('/lfs', /Git LFS pointer/);
  await mustRefuse('/empty', /empty/);
  await mustRefuse('/noise', /starts with 6a 75 73 74/);
  await mustRefuse('/short-zip', /zip archive without its end/);
  await mustRefuse('/short-safetensors', /safetensors header should take/);
});

test('wrong bytes are refused by the hash, whole or prefix', async () => {
  const wrong = `00${sha256Hex(weights).slice(2, 8)}`;
  const store = await mustRefuse('/good', new RegExp(`should start with ${wrong}, but is`), quick, wrong);
  assert.equal(await partSize(store), 0, 'refused bytes must not be continued later');
  await mustGet('/good', quick, sha256Hex(weights).slice(0, 8));
  await mustGet('/good', quick, sha256Hex(weights).slice(0, 8).toUpperCase());
});

test('redirects are followed, but not in circles, not to nowhere and not to another scheme', async () => {
  await mustGet('/hop1');
  await mustRefuse('/loop', /more than 10 redirects/);
  assert.equal(rangesOf('/loop').length, 11);
  await mustRefuse('/nowhere', /302 without a Location/);
  await mustRefuse('/to-file', /redirect from http:\/\/ to file:\/\/\/etc\/hostname refused/);
});

test('a redirect from https to http is refused, shown or followed by the browser itself', async () => {
  const shown = async () => new Response(null, { status: 302, headers: { location: 'http://127.0.0.1/x' } });
  const hidden = async (_: string, init: RequestInit) => {
    if (init.redirect === 'follow')
      return Object.defineProperty(new Response('x'), 'url', { value: 'http://127.0.0.1/x' });
    return Object.defineProperty(new Response(null), 'type', { value: 'opaqueredirect' });
  };
  for (const fetch of [shown, hidden]) {
    const request = { file: 'a.pth', urls: ['https://example.invalid/a'] };
    const { file, attempts } = await download(createMemoryStore(), request, { ...quick, fetch });
    assert.equal(file, undefined);
    assert.match(attempts[0]?.fault ?? '', /redirect from https:\/\/ to http:\/\/127\.0\.0\.1\/x refused/);
  }
});

test('a stalled connection is given up and continued', async () => {
  const impatient = { ...quick, stallMs: 150, retries: 1 };
  await mustRefuse('/silent', /no data for 0.15 s, after 2 attempts/, impatient);
  await mustRefuse('/stalls', /no data for 0.15 s/, impatient);
  await mustGet('/stalls-once', { ...impatient, retries: 5 });
  assert.equal(rangesOf('/stalls-once')[1], 'bytes=1000-');
});

test('an endless or too large answer is refused', async () => {
  await mustRefuse('/endless', /more than the 300000 bytes/, { ...quick, maxBytes: 300_000 });
  await mustRefuse('/good', /more than 1000 are refused/, { ...quick, maxBytes: 1000 });
});

test('a body shorter than announced is not taken for whole, even where fetch does not notice', async () => {
  const headers = { 'content-length': String(weights.length) };
  const fetch = async () => new Response(new Uint8Array(weights.subarray(0, 90_000)), { headers });
  await mustRefuse('/any', /ended after 90000 of 200071 bytes/, { ...quick, fetch });
});

test('the next address is tried when one fails', async () => {
  const store = createMemoryStore();
  const { file, attempts } = await download(store, requestOf(['/missing', '/html', '/good']), quick);
  assert.equal(file?.size, weights.length);
  assert.deepEqual(
    attempts.map((attempt) => attempt.from.replace(server.address, '')),
    ['/missing', '/html'],
  );
});

test('two callers of one file make one request and get the same bytes', async () => {
  const store = createMemoryStore();
  const earlier = rangesOf('/good').length;
  const results = await Promise.all([1, 2].map(() => download(store, requestOf(['/good']), quick)));
  assert.equal(rangesOf('/good').length - earlier, 1);
  for (const { file } of results) assert.deepEqual(await file?.read(0, weights.length), weights);
});

test('an abort ends it with the signal’s reason and keeps what can be continued', async () => {
  const store = createMemoryStore();
  const abort = new AbortController();
  const reason = new Error('the user went away');
  const onProgress = ({ received }: DownloadProgress) => {
    if (received > 0) abort.abort(reason);
  };
  await assert.rejects(
    download(store, requestOf(['/good']), { ...quick, onProgress, signal: abort.signal }),
    (error) => error === reason,
  );
  assert.equal(await store.open('a.safetensors'), undefined);
  const kept = await partSize(store);
  assert.ok(kept > 0);
  await download(store, requestOf(['/good'], sha256Hex(weights)), quick);
  // An abort after the last byte leaves nothing to ask for.
  if (kept < weights.length) assert.equal(rangesOf('/good').at(-1), `bytes=${kept}-`);
  assert.equal((await store.open('a.safetensors'))?.size, weights.length);
});

test('an exception of the caller’s callback and a fault of the store are not retried', async () => {
  const callback = () => {
    throw new TypeError('a bug of the caller');
  };
  const earlier = rangesOf('/good').length;
  await assert.rejects(
    download(createMemoryStore(), requestOf(['/good']), { ...quick, onProgress: callback }),
    /a bug of the caller/,
  );
  const store = createMemoryStore();
  const full: CacheStore = {
    ...store,
    begin: async (key, signal) => {
      const partial = await store.begin(key, signal);
      const append = async () => {
        throw new HubError('hub: the disk is full');
      };
      return Object.assign(Object.create(partial), { append });
    },
  };
  await assert.rejects(download(full, requestOf(['/good', '/good']), quick), /disk is full/);
  assert.equal(rangesOf('/good').length - earlier, 2);
});
