import { CONTROL } from '../../runner-layout.ts';
import { CONDITION } from '../encoder.ts';
import { memory } from '../operand.ts';
import { R12, RAX, RBX } from '../registers.ts';
import { participate, waitDone } from './participate.ts';
import type { RunnerCode } from './runner-code.ts';

/** runShared(control) */
export function runShared(r: RunnerCode): number {
  const e = r.encoder;
  const start = r.enter();
  e.move(RBX, r.arg(0));
  e.load32(R12, memory(RBX, CONTROL.generation));
  e.arithmeticConstant('add', R12, 1, 0); // wraps at 32 bits
  e.constant(RAX, 0);
  e.store32(memory(RBX, CONTROL.done), RAX);
  e.move(RAX, R12);
  e.shiftLeft(RAX, 32);
  e.arithmeticConstant('add', RAX, 1);
  e.exchange(memory(RBX, CONTROL.state), RAX);
  if (r.futex) {
    e.arithmeticConstant('compare', memory(RBX, CONTROL.sleepers), 0, 0);
    const nobody = e.jumpForward(CONDITION.zero);
    r.futexWake(CONTROL.generation);
    e.land(nobody);
  }
  participate(r, 'front');
  const check = e.here();
  const allDone = r.ifReady();
  waitDone(r);
  e.jumpBack(check);
  e.land(allDone);
  e.move(RAX, R12);
  e.shiftLeft(RAX, 32);
  e.exchange(memory(RBX, CONTROL.state), RAX);
  e.constant(RAX, 0);
  r.leave();
  return start;
}
