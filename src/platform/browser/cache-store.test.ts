import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testStore } from '../../../test/support/store-contract.ts';
import { HubError } from '../../errors.ts';
import { createPageStore, type PageStoreOptions } from './cache-store.ts';

type Caches = NonNullable<PageStoreOptions['caches']>;
type Locks = NonNullable<PageStoreOptions['locks']>;

/** The three calls of Cache storage that the store makes, on a map. */
function fakeCaches(put: (key: string) => void = () => {}): Caches {
  const entries = new Map<string, Response>();
  const cache = {
    match: async (key: string) => entries.get(key)?.clone(),
    put: async (key: string, response: Response) => {
      put(key);
      entries.set(key, response);
    },
    delete: async (key: string) => entries.delete(key),
  };
  return { open: async () => cache as unknown as Cache };
}

/** Web Locks in one page: a queue a name. */
function fakeLocks(): Locks {
  const tails = new Map<string, Promise<unknown>>();
  const request = (name: string, { signal }: LockOptions, hold: () => Promise<void>) => {
    const before = tails.get(name) ?? Promise.resolve();
    const done = before.then(() => (signal?.aborted ? undefined : hold()));
    tails.set(name, done);
    return new Promise((resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason));
      done.then(resolve, reject);
    });
  };
  return { request: request as Locks['request'] };
}

testStore('page store', async () => createPageStore({ caches: fakeCaches(), locks: fakeLocks() }));

test('page store: a refused put is a typed error and leaves nothing', async () => {
  const caches = fakeCaches(() => {
    throw new DOMException('full', 'QuotaExceededError');
  });
  const store = createPageStore({ caches, locks: fakeLocks() });
  const partial = await store.begin('a.pth');
  await partial.reset({ url: 'http://127.0.0.1/a', validator: '"1"' });
  await partial.append(new Uint8Array(3));
  await assert.rejects(partial.commit(), (error: unknown) => {
    assert.ok(error instanceof HubError);
    assert.match(error.message, /a\.pth \(3 bytes\).*QuotaExceededError/);
    return true;
  });
  assert.equal(await store.open('a.pth'), undefined);
  const again = await store.begin('a.pth');
  assert.equal(again.size, 0);
  await again.release();
});
