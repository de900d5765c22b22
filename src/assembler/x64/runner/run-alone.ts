import { STEP, STEP_BYTES } from '../../runner-layout.ts';
import { CONDITION } from '../encoder.ts';
import { memory } from '../operand.ts';
import { R12, R13, R14, R15, RAX, RBP, RBX } from '../registers.ts';
import type { RunnerCode } from './runner-code.ts';

/** runAlone(steps, stepCount) */
export function runAlone(r: RunnerCode): number {
  const e = r.encoder;
  const start = r.enter();
  e.move(RBX, r.arg(0));
  e.move(RBP, r.arg(1));
  e.constant(R12, 0);
  const nextStep = e.here();
  e.test(RBP, RBP);
  const end = e.jumpForward(CONDITION.zero);
  e.load(R13, memory(RBX, STEP.records));
  e.load(R14, memory(RBX, STEP.recordStride));
  const nextTile = e.here();
  e.arithmeticMemory('compare', R12, memory(RBX, STEP.endTile));
  const stepDone = e.jumpForward(CONDITION.aboveOrEqual);
  e.load(R15, memory(RBX, STEP.calls));
  const nextCall = e.here();
  e.move(r.arg(0), R13);
  e.call(memory(R13));
  e.arithmetic('add', R13, R14);
  e.arithmeticConstant('subtract', R15, 1);
  e.jumpBack(nextCall, CONDITION.notZero);
  e.arithmeticConstant('add', R12, 1);
  e.jumpBack(nextTile);
  e.land(stepDone);
  e.arithmeticConstant('add', RBX, STEP_BYTES);
  e.arithmeticConstant('subtract', RBP, 1);
  e.jumpBack(nextStep);
  e.land(end);
  e.constant(RAX, 0);
  r.leave();
  return start;
}
