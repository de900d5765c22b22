/** How a thread takes tiles of a run that others work on too, and what it does while there is none to take. */
import { CONTROL, STEP, STEP_BYTES } from '../../runner-layout.ts';
import { CONDITION } from '../encoder.ts';
import { memory } from '../operand.ts';
import { R10, R12, R13, R14, R15, RAX, RBP, RBX, RDX } from '../registers.ts';
import type { RunnerCode } from './runner-code.ts';

/** Where a thread takes its tiles of a step from, when two share. */
type End = 'front' | 'back';

/** rbp = steps, r14 = their end, r13 = 0 */
function openSteps(r: RunnerCode): void {
  const e = r.encoder;
  e.load(RBP, memory(RBX, CONTROL.steps));
  e.load(R14, memory(RBX, CONTROL.stepCount));
  e.multiplyConstant(R14, R14, STEP_BYTES);
  e.arithmetic('add', R14, RBP);
  e.constant(R13, 0);
}

/** Spins, then sleeps until r13 tiles are done, or the run is over, or for no reason: the caller asks again. */
export function waitDone(r: RunnerCode): void {
  const e = r.encoder;
  r.startClock();
  const spin = e.here();
  e.pause();
  const exits = [r.ifReady(), r.ifOtherGeneration()];
  r.untilPatienceEnds(spin);
  if (r.futex) {
    e.lockAdd32(memory(RBX, CONTROL.waiters), 1);
    const awake = [r.ifOtherGeneration(), r.ifReady()];
    e.constant(R10, 0);
    r.futexWait(CONTROL.done);
    for (const jump of awake) e.land(jump);
    e.lockAdd32(memory(RBX, CONTROL.waiters), -1);
  }
  for (const jump of exits) e.land(jump);
}

/** Inline: takes tiles of generation r12 until none is left, from its own end where two threads share. Ends with r13 = all tiles if none was. */
export function participate(r: RunnerCode, end: End): void {
  const e = r.encoder;
  openSteps(r);
  resetOwnTiles(r);
  const again = e.here();
  e.load(RAX, memory(RBX, CONTROL.state));
  e.move32(R15, RAX);
  e.arithmeticConstant('subtract', R15, 1);
  e.shiftRight(RAX, 32);
  e.arithmetic('compare', RAX, R12);
  const otherRun = e.jumpForward(CONDITION.notZero);
  const find = e.here();
  e.arithmetic('compare', RBP, R14);
  const exhausted = e.jumpForward(CONDITION.zero);
  e.arithmeticMemory('compare', R15, memory(RBP, STEP.endTile));
  const found = e.jumpForward(CONDITION.below);
  e.load(R13, memory(RBP, STEP.endTile));
  e.arithmeticConstant('add', RBP, STEP_BYTES);
  resetOwnTiles(r);
  e.jumpBack(find);
  e.land(found);
  const ready = r.ifReady();
  waitDone(r);
  e.jumpBack(again);
  e.land(ready);
  takeTile(r);
  e.jumpBack(again, CONDITION.notZero);
  runTile(r, end);
  e.jumpBack(again, CONDITION.notZero);
  if (r.futex) {
    e.arithmeticConstant('compare', memory(RBX, CONTROL.waiters), 0, 0);
    e.jumpBack(again, CONDITION.zero);
    r.futexWake(CONTROL.done);
  }
  e.jumpBack(again);
  e.land(otherRun);
  e.land(exhausted);
}

/** Tries to move state past tile r15; zero flag set on success. */
function takeTile(r: RunnerCode): void {
  const e = r.encoder;
  e.move(RAX, R12);
  e.shiftLeft(RAX, 32);
  e.address(RAX, { base: RAX, offset: 1, index: R15, scale: 1, broadcast: false });
  e.address(RDX, memory(RAX, 1));
  e.lockCompareExchange(memory(RBX, CONTROL.state), RDX);
}

/** Changes rax. */
function resetOwnTiles(r: RunnerCode): void {
  r.encoder.constant(RAX, 0);
  r.encoder.store(r.ownTiles(), RAX);
}

/**
 * rax = the tile's place within its step. Of two threads each takes those nearest its own end, for what it wrote in
 * the step before lies in its core's cache; both together never take more than there are, so they never meet.
 */
function ownTile(r: RunnerCode, end: End): void {
  const e = r.encoder;
  e.move(RAX, R15);
  e.arithmetic('subtract', RAX, R13);
  e.arithmeticConstant('compare', memory(RBX, CONTROL.twoEnded), 0, 0);
  const inOrder = e.jumpForward(CONDITION.zero);
  e.load(RAX, r.ownTiles());
  e.address(RDX, memory(RAX, 1));
  e.store(r.ownTiles(), RDX);
  if (end === 'back') {
    e.move(RDX, RAX);
    e.load(RAX, memory(RBP, STEP.endTile));
    e.arithmetic('subtract', RAX, R13);
    e.arithmetic('subtract', RAX, RDX);
    e.arithmeticConstant('subtract', RAX, 1);
  }
  e.land(inOrder);
}

/** Runs a tile of the step and counts it; zero flag set when it was the last. Changes r15. */
function runTile(r: RunnerCode, end: End): void {
  const e = r.encoder;
  ownTile(r, end);
  e.load(R15, memory(RBP, STEP.calls));
  e.store(r.callsLeft(), R15);
  e.multiply(RAX, memory(RBP, STEP.recordStride));
  e.multiply(R15, RAX);
  e.arithmeticMemory('add', R15, memory(RBP, STEP.records));
  const nextCall = e.here();
  e.move(r.arg(0), R15);
  e.call(memory(R15));
  e.arithmeticMemory('add', R15, memory(RBP, STEP.recordStride));
  e.load(RAX, r.callsLeft());
  e.arithmeticConstant('subtract', RAX, 1);
  e.store(r.callsLeft(), RAX);
  e.jumpBack(nextCall, CONDITION.notZero);
  e.constant(RAX, 1);
  e.lockExchangeAdd(memory(RBX, CONTROL.done), RAX, 0);
  e.arithmeticConstant('add', RAX, 1);
  e.arithmeticMemory('compare', RAX, memory(RBP, STEP.endTile));
}
