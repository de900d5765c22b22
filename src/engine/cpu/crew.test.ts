import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCrew } from './crew.ts';
import { threadOf } from './mailbox.ts';

test('helpers are kept off the caller’s processor, told only when it changes', () => {
  const boxes: Int32Array[] = [];
  const crew = createCrew(({ mailbox }) => {
    boxes.push(new Int32Array(mailbox));
    return { post: () => {} };
  });
  crew.grow(3);
  const [box] = boxes;
  assert.ok(box);
  Atomics.store(box, threadOf(0), 70);
  Atomics.store(box, threadOf(1), 71); // the third has not started yet
  let processor = 5;
  const kept: (readonly [number, number])[] = [];
  const placement = {
    thread: () => 1,
    processor: () => processor,
    keepOff: (thread: number, from: number) => void kept.push([thread, from]),
  };
  const take = (): readonly (readonly [number, number])[] => kept.splice(0);
  crew.keepApart(3, placement);
  assert.deepEqual(take(), [
    [70, 5],
    [71, 5],
  ]);
  crew.keepApart(3, placement);
  assert.deepEqual(take(), []);
  Atomics.store(box, threadOf(2), 72);
  crew.keepApart(3, placement);
  assert.deepEqual(take(), [[72, 5]]);
  processor = 6;
  crew.keepApart(1, placement);
  assert.deepEqual(take(), [[70, 6]]);
  processor = -1; // the system does not say
  crew.keepApart(3, placement);
  assert.deepEqual(take(), []);
});
