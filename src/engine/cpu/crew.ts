import type { HelperMessage, HelperStart } from './helper.ts';
import { CLOSED, CURRENT, MAILBOX_BYTES, MAX_HELPERS, posted, ring, serving, threadOf } from './mailbox.ts';
import type { ThreadPlacement } from './thread-placement.ts';

/** A started thread that runs `help`. */
export interface HelperThread {
  readonly post: (message: HelperMessage) => void;
}

/** @param onEnd to be called when the thread has ended, for whatever reason */
export type StartHelper = (start: HelperStart, onEnd: () => void) => HelperThread;

/** Helper threads and the mailbox they share. A crew that is closed never comes back; a pool may make another. */
export interface Crew {
  /** Starts threads until there are so many. @returns the numbers of those started */
  readonly grow: (helpers: number) => readonly number[];
  readonly post: (helper: number, message: HelperMessage) => void;
  readonly current: () => number;
  /** What all serve from now on; 0 is nothing. */
  readonly setCurrent: (id: number) => void;
  readonly ring: (helper: number) => void;
  /** Makes the first `helpers` run on other processors than the calling thread does now. */
  readonly keepApart: (helpers: number, placement: ThreadPlacement) => void;
  /** Nobody serves this code. True for good once it is not current any more. */
  readonly hasLeft: (id: number) => boolean;
  /**
   * Threads end as soon as they serve nothing. They are never stopped by force, for a tile that was begun must be
   * finished.
   */
  readonly close: () => void;
  readonly ended: () => boolean;
}

export function createCrew(startHelper: StartHelper): Crew {
  const mailbox = new SharedArrayBuffer(MAILBOX_BYTES);
  const box = new Int32Array(mailbox);
  const threads: (HelperThread | undefined)[] = [];
  /** Per helper, the processor it was last kept off. */
  const keptOff: number[] = [];
  return {
    grow: (helpers) => {
      const started: number[] = [];
      while (threads.length < Math.min(helpers, MAX_HELPERS)) {
        const index = threads.length;
        threads.push(undefined);
        threads[index] = startHelper({ index, mailbox }, () => {
          threads[index] = undefined;
          Atomics.store(box, serving(index), 0);
          Atomics.store(box, threadOf(index), 0);
        });
        started.push(index);
      }
      return started;
    },
    post: (helper, message) => {
      const thread = threads[helper];
      if (thread === undefined) return;
      Atomics.add(box, posted(helper), 1);
      thread.post(message);
      ring(box, helper);
    },
    current: () => Atomics.load(box, CURRENT),
    setCurrent: (id) => void Atomics.store(box, CURRENT, id),
    ring: (helper) => ring(box, helper),
    keepApart: (helpers, placement) => {
      const processor = placement.processor();
      if (processor < 0) return;
      for (let helper = 0; helper < helpers; helper++) {
        if (keptOff[helper] === processor) continue;
        const thread = Atomics.load(box, threadOf(helper));
        if (thread === 0) continue;
        placement.keepOff(thread, processor);
        keptOff[helper] = processor;
      }
    },
    hasLeft: (id) => threads.every((_, helper) => Atomics.load(box, serving(helper)) !== id),
    close: () => {
      Atomics.store(box, CLOSED, 1);
      for (const helper of threads.keys()) ring(box, helper);
    },
    ended: () => threads.every((thread) => thread === undefined),
  };
}
