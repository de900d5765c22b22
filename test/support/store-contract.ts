import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { FormatError, HubError } from '../../src/errors.ts';
import type { CacheStore } from '../../src/hub/store.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

/** What every cache must do; `create` gives an empty one. */
export function testStore(title: string, create: () => Promise<CacheStore>): void {
  const origin = { url: 'http://127.0.0.1/a', validator: '"1"', total: 6 };

  test(`${title}: a file appears only at commit, whole`, async () => {
    const store = await create();
    const partial = await store.begin('a.pth');
    await partial.reset(origin);
    await partial.append(bytes('abc'));
    await partial.append(bytes('def'));
    assert.equal(await store.open('a.pth'), undefined);
    assert.equal(partial.size, 6);
    assert.deepEqual(await partial.read(2, 3), bytes('cde'));
    assert.equal(await partial.sha256(), createHash('sha256').update('abcdef').digest('hex'));
    await partial.commit();
    await partial.release();
    const file = await store.open('a.pth');
    assert.equal(file?.size, 6);
    assert.deepEqual(await file?.read(0, 6), bytes('abcdef'));
    assert.deepEqual(await file?.read(6, 0), bytes(''));
    await assert.rejects(async () => file?.read(4, 3), FormatError);
    await assert.rejects(async () => file?.read(-1, 2), FormatError);
    await store.remove('a.pth');
    assert.equal(await store.open('a.pth'), undefined);
  });

  test(`${title}: released bytes are continued when their origin can be confirmed, else dropped`, async () => {
    const store = await create();
    for (const [kept, from] of [
      [3, origin],
      [0, { url: origin.url }],
    ] as const) {
      const first = await store.begin('b.pth');
      await first.reset(from);
      await first.append(bytes('abc'));
      await first.release();
      const second = await store.begin('b.pth');
      assert.equal(second.size, kept);
      assert.deepEqual(second.origin, kept ? origin : undefined);
      if (kept) assert.deepEqual(await second.read(0, 3), bytes('abc'));
      await second.reset();
      assert.equal(second.size, 0);
      await second.release();
    }
  });

  test(`${title}: one holder at a time, waiting can be aborted, another key is free`, async () => {
    const store = await create();
    const first = await store.begin('c.pth');
    const order: string[] = [];
    const second = store.begin('c.pth').then((partial) => {
      order.push('second');
      return partial;
    });
    await (await store.begin('d.pth')).release();
    const impatient = new AbortController();
    const aborted = assert.rejects(store.begin('c.pth', impatient.signal), { message: 'enough' });
    impatient.abort(new Error('enough'));
    await aborted;
    order.push('first done');
    await first.release();
    await first.release();
    await (await second).release();
    await (await store.begin('c.pth')).release();
    assert.deepEqual(order, ['first done', 'second']);
  });

  test(`${title}: a key cannot leave the cache`, async () => {
    const store = await create();
    for (const key of ['../x', 'a/b', '..', '.hidden', '', 'a\\b', 'c:x']) {
      assert.throws(() => store.locate(key), HubError, key);
      await assert.rejects(async () => store.open(key), HubError, key);
      await assert.rejects(async () => store.begin(key), HubError, key);
    }
  });
}
