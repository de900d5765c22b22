import type { LoadedCode } from '../../assembler/machine.ts';
import type { HelperMessage, HelperStart } from './helper.ts';
import { CLOSED, CURRENT, MAILBOX_BYTES, MAX_HELPERS, posted, ring, serving } from './mailbox.ts';
import type { ServedCode, ThreadPool } from './thread-pool.ts';

/** A started thread that runs `help`. */
export interface HelperThread {
  readonly post: (message: HelperMessage) => void;
  readonly terminate: () => void;
}

export interface PoolPlatform {
  readonly cores: number;
  readonly mayWait: boolean;
  /** @param onEnd to be called when the thread has ended for whatever reason */
  readonly start: (start: HelperStart, onEnd: () => void) => HelperThread;
  /** Calls back a little later, without keeping the process alive. */
  readonly later: (callback: () => void) => void;
}

interface Registered {
  readonly id: number;
  readonly code: LoadedCode;
  readonly control: number;
  readonly setStop: (stop: 0 | 1) => void;
  readonly helpers: number;
}

/** One pool serves all sessions of a thread of JavaScript: helpers follow whichever session runs. */
export function createThreadPool(platform: PoolPlatform): ThreadPool {
  const mailbox = new SharedArrayBuffer(MAILBOX_BYTES);
  const box = new Int32Array(mailbox);
  const threads: (HelperThread | undefined)[] = [];
  const registered = new Map<number, Registered>();
  const leaving: { readonly id: number; readonly whenLeft: () => void }[] = [];
  let lastId = 0;
  let closed = false;

  const post = (helper: number, message: HelperMessage): void => {
    const thread = threads[helper];
    if (thread === undefined) return;
    Atomics.add(box, posted(helper), 1);
    thread.post(message);
    ring(box, helper);
  };
  const attachMessage = ({ id, code, control }: Registered): HelperMessage => ({
    kind: 'attach',
    id,
    code: code.shared,
    control,
  });
  const startUpTo = (helpers: number): void => {
    while (!closed && threads.length < Math.min(helpers, MAX_HELPERS)) {
      const index = threads.length;
      const onEnd = (): void => {
        threads[index] = undefined;
        Atomics.store(box, serving(index), 0);
      };
      threads.push(undefined);
      threads[index] = platform.start({ index, mailbox }, onEnd);
    }
  };
  /** Makes helpers leave the current code, as far as they serve it. */
  const dismiss = (): void => {
    const current = registered.get(Atomics.load(box, CURRENT));
    Atomics.store(box, CURRENT, 0);
    current?.setStop(1);
    current?.code.wake(current.control);
  };
  const settle = (): void => {
    for (let i = leaving.length - 1; i >= 0; i--) {
      const entry = leaving[i];
      const busy = threads.some((_, helper) => Atomics.load(box, serving(helper)) === entry?.id);
      if (busy || entry === undefined) continue;
      leaving.splice(i, 1);
      entry.whenLeft();
    }
    if (leaving.length > 0) platform.later(settle);
  };
  const summon = (entry: Registered): void => {
    if (Atomics.load(box, CURRENT) !== entry.id) {
      dismiss();
      entry.setStop(0);
      Atomics.store(box, CURRENT, entry.id);
    }
    for (let helper = 0; helper < entry.helpers; helper++) ring(box, helper);
  };
  const release = (entry: Registered, whenLeft: () => void): void => {
    if (!registered.delete(entry.id)) return;
    entry.setStop(1);
    if (Atomics.load(box, CURRENT) === entry.id) Atomics.store(box, CURRENT, 0);
    entry.code.wake(entry.control);
    for (let helper = 0; helper < entry.helpers; helper++) post(helper, { kind: 'detach', id: entry.id });
    leaving.push({ id: entry.id, whenLeft });
    settle();
  };
  return {
    cores: platform.cores,
    mayWait: platform.mayWait,
    register: (code, control, setStop, helpers): ServedCode => {
      startUpTo(helpers);
      const entry: Registered = {
        id: ++lastId,
        code,
        control,
        setStop,
        helpers: Math.min(helpers, MAX_HELPERS),
      };
      registered.set(entry.id, entry);
      for (let helper = 0; helper < entry.helpers; helper++) post(helper, attachMessage(entry));
      return { summon: () => summon(entry), release: (whenLeft) => release(entry, whenLeft) };
    },
    dispose: () => {
      if (closed) return;
      closed = true;
      dismiss();
      Atomics.store(box, CLOSED, 1);
      threads.forEach((thread, helper) => {
        ring(box, helper);
        thread?.terminate();
      });
    },
  };
}
