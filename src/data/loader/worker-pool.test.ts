import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DataError } from '../../errors.ts';
import { evalTransforms } from '../../image/eval-transform.ts';
import { createPortableDecoder } from '../../image/portable-decoder.ts';
import type { BatchTask } from './batch.ts';
import { type BatchRequest, type BatchWorkerEvents, createWorkerPool, serveBatches } from './worker-pool.ts';

const task: BatchTask = {
  rows: [undefined],
  pictures: { kind: 'eval', transform: evalTransforms.apple },
  classes: 2,
  coding: undefined,
  seed: 0,
  epoch: 0,
  step: 0,
  location: undefined,
  shrink: undefined,
  buffers: undefined,
};
const tools = {
  decoder: createPortableDecoder({ advice: '' }),
  read: () => Promise.reject(new TypeError('nothing to read')),
};

/** Workers that answer when they are told to. */
function pretendPool(workers: number) {
  const members: { events: BatchWorkerEvents; asked: BatchRequest[]; held: boolean[] }[] = [];
  const pool = createWorkerPool({
    workers,
    readsFiles: false,
    start: (events) => {
      const member = { events, asked: [] as BatchRequest[], held: [] as boolean[] };
      members.push(member);
      return {
        post: (request) => member.asked.push(request),
        hold: (held) => member.held.push(held),
        close: async () => {},
      };
    },
  });
  return { pool, members };
}
const result = {
  images: new Float32Array(1),
  targets: new Float32Array(1),
  offsets: new Float32Array(0),
  sizes: new Int32Array(2),
  broken: [],
  decoded: [],
  ms: 1,
};

test('whoever has least to do is asked; answers find their questions', async () => {
  const { pool, members } = pretendPool(2);
  const first = pool.make(task);
  const second = pool.make(task);
  const third = pool.make(task);
  assert.deepEqual(
    members.map(({ asked }) => asked.length),
    [2, 1],
  );
  const [a, b] = members;
  b?.events.onReply({ id: b.asked[0]?.id ?? 0, failure: 'no memory' });
  a?.events.onReply({ id: a.asked[1]?.id ?? 0, result });
  a?.events.onReply({ id: a.asked[0]?.id ?? 0, result: { ...result, ms: 2 } });
  assert.equal((await first).ms, 2);
  assert.equal((await third).ms, 1);
  await assert.rejects(second, (error) => error instanceof DataError && /no memory/.test(error.message));
  assert.deepEqual(
    [a?.held, b?.held],
    [
      [true, true, false],
      [true, false],
    ],
  );
});

test('a worker that ends rejects its own, and the others go on; a late answer lets nothing go', async () => {
  const { pool, members } = pretendPool(2);
  const lost = pool.make(task);
  members[0]?.events.onEnd('out of memory');
  await assert.rejects(lost, /have ended: out of memory/);
  members[0]?.events.onReply({ id: members[0].asked[0]?.id ?? 0, result });
  assert.deepEqual(members[0]?.held, [true]);
  const kept = pool.make(task);
  members[1]?.events.onReply({ id: members[1].asked[0]?.id ?? 0, result });
  assert.equal((await kept).ms, 1);
  await pool.close();
  await assert.rejects(pool.make(task), /out of memory/);
});

test('the worker answers in order, and says what fails', async () => {
  const replies: number[] = [];
  const failures: string[] = [];
  await new Promise<void>((resolve) => {
    const serve = serveBatches(tools, (reply, transfer) => {
      replies.push(reply.id);
      assert.equal(transfer.length, 'result' in reply ? 3 : 0);
      if ('failure' in reply) failures.push(reply.failure);
      if (replies.length === 3) resolve();
    });
    const open = { ...evalTransforms.apple, crop: { width: -1, height: 2 } };
    for (const id of [1, 2, 3])
      serve({ id, task: id === 2 ? { ...task, pictures: { kind: 'eval', transform: open } } : task });
  });
  assert.deepEqual(replies, [1, 2, 3]);
  assert.equal(failures.length, 1);
});
