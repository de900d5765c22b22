import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { openThreadPlacement } from './thread-placement.ts';

const placement = await openThreadPlacement();
const skip =
  placement === undefined
    ? 'threads cannot be placed here'
    : availableParallelism() < 2 && 'one processor, no other to run on';

test('a thread that is kept off its processor runs on another, and may come back', { skip }, () => {
  assert.ok(placement);
  const thread = placement.thread();
  assert.equal(thread, process.pid); // the first thread of a process has its number
  for (let i = 0; i < 20; i++) {
    const before = placement.processor();
    placement.keepOff(thread, before);
    assert.notEqual(placement.processor(), before);
  }
  placement.keepOff(thread, 1023);
});

test('without koffi threads are not placed', async () => {
  const missing = (): Promise<never> => Promise.reject(new Error('not installed'));
  assert.equal(await openThreadPlacement(missing), undefined);
});
