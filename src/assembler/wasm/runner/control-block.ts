import { ATOMIC, type Emitter, OP } from '../emitter.ts';

/** Local that holds the control block, the first argument of all functions for several threads. */
export const control = 0;

export function loadAtomic(e: Emitter, offset: number): void {
  e.get(control);
  e.atomic(ATOMIC.load32, offset);
}

export function addAtomic(e: Emitter, offset: number, value: number): void {
  e.get(control);
  e.i32(value);
  e.atomic(ATOMIC.add32, offset);
}

export function wakeAll(e: Emitter, offset: number): void {
  e.get(control);
  e.i32(-1);
  e.atomic(ATOMIC.notify, offset);
  e.op(OP.drop);
}

/** The high half of the 64-bit state on the stack: its generation. */
export function highHalf(e: Emitter): void {
  e.i64(32);
  e.op(OP.i64ShiftRight, OP.i32Wrap);
}
