/**
 * The words that a pool and its helpers share, as i32 indices. Everything is read and written atomically.
 * A helper says which code it serves before it looks again whether that code is still current: so once another
 * code is current and nobody says to serve the old one, nobody will.
 */
export const MAX_HELPERS = 63;

/** Number of the code that helpers should serve; 0 none. */
export const CURRENT = 0;
/** 1 tells helpers to end. */
export const CLOSED = 1;
/** Per helper, changed whenever something else has; what a parked helper sleeps on. */
export const bell = (helper: number): number => 16 + helper * 16;
/** Per helper: 1 while it sleeps, or is about to. */
export const parked = (helper: number): number => bell(helper) + 1;
/** Per helper: messages sent to it. */
export const posted = (helper: number): number => bell(helper) + 2;
/** Per helper: number of the code it serves, or is about to. */
export const serving = (helper: number): number => bell(helper) + 3;
/** Per helper: the system's number of its thread, 0 where unknown. */
export const threadOf = (helper: number): number => bell(helper) + 4;

export const MAILBOX_BYTES = 4 * bell(MAX_HELPERS);

/** Wakes a helper if it sleeps, and keeps it from falling asleep before it has looked around again. */
export function ring(box: Int32Array, helper: number): void {
  Atomics.add(box, bell(helper), 1);
  if (Atomics.load(box, parked(helper)) === 1) Atomics.notify(box, bell(helper));
}
