import type { RunnerFunctions, SharedCode } from '../../assembler/machine.ts';
import { bell, CLOSED, CURRENT, parked, posted, serving, threadOf } from './mailbox.ts';

/** What a helper thread is sent when it starts. */
export interface HelperStart {
  readonly index: number;
  readonly mailbox: SharedArrayBuffer;
}

/** What a helper thread is sent later. */
export type HelperMessage =
  | { readonly kind: 'attach'; readonly id: number; readonly code: SharedCode; readonly control: number }
  | { readonly kind: 'detach'; readonly id: number };

/** What a helper thread sends when it ends, where the platform does not notice by itself. */
export const HELPER_ENDED = 'ended';

/** The platform's side of a helper thread. */
export interface HelperPort {
  /** The system's number of this thread, where threads can be placed. */
  readonly thread?: number | undefined;
  /** The next message, once there is one. */
  readonly next: () => Promise<HelperMessage>;
  readonly attach: (code: SharedCode) => RunnerFunctions | Promise<RunnerFunctions>;
}

interface Attached {
  readonly functions: RunnerFunctions;
  readonly control: number;
}

/**
 * The life of a helper thread: serve the current code while it has runs, sleep when it has had none for a while,
 * take messages when there are any. Ends when the pool is closed.
 */
export async function help({ index, mailbox }: HelperStart, port: HelperPort): Promise<void> {
  const box = new Int32Array(mailbox);
  const attached = new Map<number, Attached>();
  Atomics.store(box, threadOf(index), port.thread ?? 0);
  let taken = 0;
  while (Atomics.load(box, CLOSED) === 0) {
    const rung = Atomics.load(box, bell(index));
    if (taken < Atomics.load(box, posted(index))) {
      await take(await port.next(), attached, port);
      taken++;
      continue;
    }
    const id = Atomics.load(box, CURRENT);
    const code = attached.get(id);
    if (code !== undefined) serve(box, index, id, code);
    Atomics.store(box, parked(index), 1);
    Atomics.wait(box, bell(index), rung);
    Atomics.store(box, parked(index), 0);
  }
}

async function take(
  message: HelperMessage,
  attached: Map<number, Attached>,
  port: HelperPort,
): Promise<void> {
  if (message.kind === 'detach') attached.delete(message.id);
  else attached.set(message.id, { functions: await port.attach(message.code), control: message.control });
}

function serve(box: Int32Array, index: number, id: number, { functions, control }: Attached): void {
  Atomics.store(box, serving(index), id);
  if (Atomics.load(box, CURRENT) === id) functions.serve(control);
  Atomics.store(box, serving(index), 0);
}
