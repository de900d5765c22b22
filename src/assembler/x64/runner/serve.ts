/** What a helper does between runs: it looks for the next one, sleeps, joins. */
import { CONTROL } from '../../runner-layout.ts';
import { CONDITION, type ForwardJump } from '../encoder.ts';
import { memory } from '../operand.ts';
import { R10, R12, RAX, RBX, RCX, RDX, RSP } from '../registers.ts';
import { participate } from './participate.ts';
import type { RunnerCode } from './runner-code.ts';

/** Jumps when a run is open that r12 is not the generation of. Changes rax. */
function ifNewRun(r: RunnerCode): ForwardJump {
  const e = r.encoder;
  e.load(RAX, memory(RBX, CONTROL.state));
  e.test(RAX, RAX, 0); // 0 between runs
  const closed = e.jumpForward(CONDITION.zero);
  e.shiftRight(RAX, 32);
  e.arithmetic('compare', RAX, R12);
  const fresh = e.jumpForward(CONDITION.notZero);
  e.land(closed);
  return fresh;
}

function ifStop(r: RunnerCode): ForwardJump {
  r.encoder.arithmeticConstant('compare', memory(RBX, CONTROL.stop), 0, 0);
  return r.encoder.jumpForward(CONDITION.notZero);
}

/** serve(control) → 1 when told to stop, 0 when idle */
export function serve(r: RunnerCode): number {
  const e = r.encoder;
  const start = r.enter();
  e.move(RBX, r.arg(0));
  e.constant(R12, -1);
  const idle = e.here();
  r.startClock();
  const spin = e.here();
  const stops = [ifStop(r)];
  const joins = [ifNewRun(r)];
  e.pause();
  r.untilPatienceEnds(spin);
  if (r.futex) {
    const asleep = sleep(r);
    stops.push(asleep.stop);
    joins.push(asleep.join);
  }
  e.constant(RAX, 0);
  const out = e.jumpForward();
  for (const jump of joins) e.land(jump);
  join(r);
  e.jumpBack(idle);
  for (const jump of stops) e.land(jump);
  e.constant(RAX, 1);
  e.land(out);
  r.leave();
  return start;
}

/** Sleeps once for a run to start. */
function sleep(r: RunnerCode): { readonly stop: ForwardJump; readonly join: ForwardJump } {
  const e = r.encoder;
  const bytes = 16;
  e.arithmeticConstant('subtract', RSP, bytes);
  e.lockAdd32(memory(RBX, CONTROL.sleepers), 1);
  e.load32(RDX, memory(RBX, CONTROL.generation));
  const awake = [ifStop(r), ifNewRun(r)];
  e.load32(RAX, memory(RBX, CONTROL.idleMilliseconds));
  e.multiplyConstant(RAX, RAX, 1_000_000);
  e.store(memory(RSP, 8), RAX);
  e.constant(RAX, 0);
  e.store(memory(RSP), RAX);
  e.move(R10, RSP);
  r.futexWait(CONTROL.generation);
  for (const jump of awake) e.land(jump);
  e.lockAdd32(memory(RBX, CONTROL.sleepers), -1);
  e.arithmeticConstant('add', RSP, bytes);
  return { stop: ifStop(r), join: ifNewRun(r) };
}

/**
 * Jumps when another helper (rcx of them) is active where only one may take tiles. One that has left took part until
 * no tile was left, so no run ever sees two.
 */
function ifSecondOfTwoEnds(r: RunnerCode): ForwardJump {
  const e = r.encoder;
  e.load(RAX, memory(RBX, CONTROL.twoEnded));
  e.test(RAX, RAX);
  const anyNumber = e.jumpForward(CONDITION.zero);
  e.test(RCX, RCX, 0);
  const alone = e.jumpForward(CONDITION.zero);
  const second = e.jumpForward();
  e.land(anyNumber);
  e.land(alone);
  return second;
}

/** Takes part in the run that is open, if it still is once this thread is known to be reading steps. */
function join(r: RunnerCode): void {
  const e = r.encoder;
  e.constant(RCX, 1);
  e.lockExchangeAdd(memory(RBX, CONTROL.active), RCX, 0);
  e.load(RAX, memory(RBX, CONTROL.state));
  e.test(RAX, RAX, 0);
  const closed = e.jumpForward(CONDITION.zero);
  e.shiftRight(RAX, 32);
  e.move(R12, RAX);
  const second = ifSecondOfTwoEnds(r);
  participate(r, 'back');
  e.land(second);
  e.land(closed);
  e.lockAdd32(memory(RBX, CONTROL.active), -1);
}

/** wake(control) */
export function wake(r: RunnerCode): number {
  const start = r.enter();
  r.encoder.move(RBX, r.arg(0));
  r.futexWake(CONTROL.generation);
  r.encoder.constant(RAX, 0);
  r.leave();
  return start;
}
