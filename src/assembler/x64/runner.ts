/**
 * The functions that walk steps and call kernels, in machine code; runner-layout.ts says how threads share work.
 * Every function takes up to two pointer-wide arguments and returns an integer. Where the system has futexes
 * (Linux) a thread that has spun in vain sleeps; elsewhere it goes on spinning.
 */
import { CONTROL, STEP, STEP_BYTES } from '../runner-layout.ts';
import { CONDITION, Encoder, type ForwardJump, memory } from './encoder.ts';
import {
  type CallingConvention,
  R10,
  R12,
  R13,
  R14,
  R15,
  RAX,
  RBP,
  RBX,
  RCX,
  RDI,
  RDX,
  RSI,
  RSP,
} from './registers.ts';

export interface RunnerOptions {
  readonly convention: CallingConvention;
  readonly futex: boolean;
}

export interface RunnerEntries {
  readonly runAlone: number;
  readonly runShared: number;
  readonly serve: number;
  readonly wake: number;
}

/** Own tiles of a step, calls left of a tile, and what aligns the stack. */
const FRAME_BYTES = 24;
const saved = [RBX, RBP, R12, R13, R14, R15] as const;

const SYS_FUTEX = 202;
const FUTEX_WAIT_PRIVATE = 128;
const FUTEX_WAKE_PRIVATE = 129;

// Registers throughout: rbx control, r12 generation, rbp step, r13 its first tile, r14 end of steps, r15 tile.

/** Where a thread takes its tiles of a step from, when two share. */
type End = 'front' | 'back';

class Runner {
  readonly encoder = new Encoder();
  readonly #argument: readonly number[];
  readonly #shadow: number;
  readonly #futex: boolean;

  constructor(options: RunnerOptions) {
    this.#argument = options.convention.arguments;
    this.#shadow = options.convention.shadowBytes;
    this.#futex = options.futex;
  }

  #arg(index: number): number {
    return this.#argument[index] ?? RAX;
  }

  #enter(): number {
    const start = this.encoder.alignedHere(16);
    for (const register of saved) this.encoder.push(register);
    this.encoder.arithmeticConstant('subtract', RSP, FRAME_BYTES + this.#shadow);
    return start;
  }

  #leave(): void {
    this.encoder.arithmeticConstant('add', RSP, FRAME_BYTES + this.#shadow);
    for (const register of [...saved].reverse()) this.encoder.pop(register);
    this.encoder.return();
  }

  /** runAlone(steps, stepCount) */
  runAlone(): number {
    const e = this.encoder;
    const start = this.#enter();
    e.move(RBX, this.#arg(0));
    e.move(RBP, this.#arg(1));
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
    e.move(this.#arg(0), R13);
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
    this.#leave();
    return start;
  }

  /** rbp = steps, r14 = their end, r13 = 0 */
  #openSteps(): void {
    const e = this.encoder;
    e.load(RBP, memory(RBX, CONTROL.steps));
    e.load(R14, memory(RBX, CONTROL.stepCount));
    e.multiplyConstant(R14, R14, STEP_BYTES);
    e.arithmetic('add', R14, RBP);
    e.constant(R13, 0);
  }

  #futexWake(offset: number): void {
    const e = this.encoder;
    if (!this.#futex) return;
    e.address(RDI, memory(RBX, offset));
    e.constant(RSI, FUTEX_WAKE_PRIVATE);
    e.constant(RDX, 0x7fffffff);
    e.constant(RAX, SYS_FUTEX);
    e.syscall();
  }

  /** Sleeps while the word still holds rdx; r10 points to the longest time, or is 0. */
  #futexWait(offset: number): void {
    const e = this.encoder;
    e.address(RDI, memory(RBX, offset));
    e.constant(RSI, FUTEX_WAIT_PRIVATE);
    e.constant(RAX, SYS_FUTEX);
    e.syscall();
  }

  /** Jumps when the run of generation r12 is over. Changes rax. */
  #ifOtherGeneration(): ForwardJump {
    const e = this.encoder;
    e.load32(RAX, memory(RBX, CONTROL.generation));
    e.arithmetic('compare', RAX, R12);
    return e.jumpForward(CONDITION.notZero);
  }

  /** Jumps when r13 tiles are done. Leaves their number in rdx. */
  #ifReady(): ForwardJump {
    const e = this.encoder;
    e.load32(RDX, memory(RBX, CONTROL.done));
    e.arithmetic('compare', RDX, R13);
    return e.jumpForward(CONDITION.aboveOrEqual);
  }

  /** rcx = ticks of now. Changes rax and rdx. */
  #startClock(): void {
    this.encoder.rdtsc();
    this.encoder.move(RCX, RAX);
  }

  /** Jumps back while fewer than `spins` ticks have passed since rcx, in 32 bits that wrap. Changes rax and rdx. */
  #untilPatienceEnds(spin: number): void {
    const e = this.encoder;
    e.rdtsc();
    e.instruction(0, 0x2b, RAX, RCX); // sub eax, ecx
    e.instruction(0, 0x3b, RAX, memory(RBX, CONTROL.spins)); // cmp eax, spins
    e.jumpBack(spin, CONDITION.below);
  }

  /** Spins, then sleeps until r13 tiles are done, or the run is over, or for no reason: the caller asks again. */
  #waitDone(): void {
    const e = this.encoder;
    this.#startClock();
    const spin = e.here();
    e.pause();
    const exits = [this.#ifReady(), this.#ifOtherGeneration()];
    this.#untilPatienceEnds(spin);
    if (this.#futex) {
      e.lockAdd32(memory(RBX, CONTROL.waiters), 1);
      const awake = [this.#ifOtherGeneration(), this.#ifReady()];
      e.constant(R10, 0);
      this.#futexWait(CONTROL.done);
      for (const jump of awake) e.land(jump);
      e.lockAdd32(memory(RBX, CONTROL.waiters), -1);
    }
    for (const jump of exits) e.land(jump);
  }

  /** Inline: takes tiles of generation r12 until none is left, from its own end where two threads share. Ends with r13 = all tiles if none was. */
  #participate(end: End): void {
    const e = this.encoder;
    this.#openSteps();
    this.#resetOwnTiles();
    const again = e.here();
    e.load(RAX, memory(RBX, CONTROL.state));
    e.instruction(0, 0x89, RAX, R15); // mov r15d, eax: the low half, zero-extended
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
    this.#resetOwnTiles();
    e.jumpBack(find);
    e.land(found);
    const ready = this.#ifReady();
    this.#waitDone();
    e.jumpBack(again);
    e.land(ready);
    this.#takeTile();
    e.jumpBack(again, CONDITION.notZero);
    this.#runTile(end);
    e.jumpBack(again, CONDITION.notZero);
    if (this.#futex) {
      e.arithmeticConstant('compare', memory(RBX, CONTROL.waiters), 0, 0);
      e.jumpBack(again, CONDITION.zero);
      this.#futexWake(CONTROL.done);
    }
    e.jumpBack(again);
    e.land(otherRun);
    e.land(exhausted);
  }

  /** Tries to move state past tile r15; zero flag set on success. */
  #takeTile(): void {
    const e = this.encoder;
    e.move(RAX, R12);
    e.instruction(1, 0xc1, 4, RAX, 1); // shl rax, 32
    e.code.u8(32);
    e.address(RAX, { base: RAX, offset: 1, index: R15, scale: 1, broadcast: false });
    e.address(RDX, memory(RAX, 1));
    e.lockCompareExchange(memory(RBX, CONTROL.state), RDX);
  }

  /** Tiles of this step that the thread has taken, on its stack. */
  #ownTiles(): ReturnType<typeof memory> {
    return memory(RSP, this.#shadow);
  }

  /** Calls that a tile still has to make, on the thread's stack. */
  #callsLeft(): ReturnType<typeof memory> {
    return memory(RSP, this.#shadow + 8);
  }

  /** Changes rax. */
  #resetOwnTiles(): void {
    this.encoder.constant(RAX, 0);
    this.encoder.store(this.#ownTiles(), RAX);
  }

  /**
   * rax = the tile's place within its step. Of two threads each takes those nearest its own end, for what it wrote in
   * the step before lies in its core's cache; both together never take more than there are, so they never meet.
   */
  #ownTile(end: End): void {
    const e = this.encoder;
    e.move(RAX, R15);
    e.arithmetic('subtract', RAX, R13);
    e.arithmeticConstant('compare', memory(RBX, CONTROL.twoEnded), 0, 0);
    const inOrder = e.jumpForward(CONDITION.zero);
    e.load(RAX, this.#ownTiles());
    e.address(RDX, memory(RAX, 1));
    e.store(this.#ownTiles(), RDX);
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
  #runTile(end: End): void {
    const e = this.encoder;
    this.#ownTile(end);
    e.load(R15, memory(RBP, STEP.calls));
    e.store(this.#callsLeft(), R15);
    e.instruction(1, 0x0faf, RAX, memory(RBP, STEP.recordStride)); // imul
    e.instruction(1, 0x0faf, R15, RAX);
    e.arithmeticMemory('add', R15, memory(RBP, STEP.records));
    const nextCall = e.here();
    e.move(this.#arg(0), R15);
    e.call(memory(R15));
    e.arithmeticMemory('add', R15, memory(RBP, STEP.recordStride));
    e.load(RAX, this.#callsLeft());
    e.arithmeticConstant('subtract', RAX, 1);
    e.store(this.#callsLeft(), RAX);
    e.jumpBack(nextCall, CONDITION.notZero);
    e.constant(RAX, 1);
    e.lockExchangeAdd(memory(RBX, CONTROL.done), RAX, 0);
    e.arithmeticConstant('add', RAX, 1);
    e.arithmeticMemory('compare', RAX, memory(RBP, STEP.endTile));
  }

  /** runShared(control) */
  runShared(): number {
    const e = this.encoder;
    const start = this.#enter();
    e.move(RBX, this.#arg(0));
    e.load32(R12, memory(RBX, CONTROL.generation));
    e.instruction(0, 0x83, 0, R12, 1); // add r12d, 1: wraps at 32 bits
    e.code.u8(1);
    e.constant(RAX, 0);
    e.store32(memory(RBX, CONTROL.done), RAX);
    e.move(RAX, R12);
    e.instruction(1, 0xc1, 4, RAX, 1); // shl rax, 32
    e.code.u8(32);
    e.arithmeticConstant('add', RAX, 1);
    e.exchange(memory(RBX, CONTROL.state), RAX);
    if (this.#futex) {
      e.arithmeticConstant('compare', memory(RBX, CONTROL.sleepers), 0, 0);
      const nobody = e.jumpForward(CONDITION.zero);
      this.#futexWake(CONTROL.generation);
      e.land(nobody);
    }
    this.#participate('front');
    const check = e.here();
    const allDone = this.#ifReady();
    this.#waitDone();
    e.jumpBack(check);
    e.land(allDone);
    e.move(RAX, R12);
    e.instruction(1, 0xc1, 4, RAX, 1);
    e.code.u8(32);
    e.exchange(memory(RBX, CONTROL.state), RAX);
    e.constant(RAX, 0);
    this.#leave();
    return start;
  }

  /** Jumps when a run is open that r12 is not the generation of. Changes rax. */
  #ifNewRun(): ForwardJump {
    const e = this.encoder;
    e.load(RAX, memory(RBX, CONTROL.state));
    e.instruction(0, 0x85, RAX, RAX); // test eax, eax: 0 between runs
    const closed = e.jumpForward(CONDITION.zero);
    e.shiftRight(RAX, 32);
    e.arithmetic('compare', RAX, R12);
    const fresh = e.jumpForward(CONDITION.notZero);
    e.land(closed);
    return fresh;
  }

  #ifStop(): ForwardJump {
    this.encoder.arithmeticConstant('compare', memory(RBX, CONTROL.stop), 0, 0);
    return this.encoder.jumpForward(CONDITION.notZero);
  }

  /** serve(control) → 1 when told to stop, 0 when idle */
  serve(): number {
    const e = this.encoder;
    const start = this.#enter();
    e.move(RBX, this.#arg(0));
    e.constant(R12, -1);
    const idle = e.here();
    this.#startClock();
    const spin = e.here();
    const stops = [this.#ifStop()];
    const joins = [this.#ifNewRun()];
    e.pause();
    this.#untilPatienceEnds(spin);
    if (this.#futex) {
      const asleep = this.#sleep();
      stops.push(asleep.stop);
      joins.push(asleep.join);
    }
    e.constant(RAX, 0);
    const out = e.jumpForward();
    for (const jump of joins) e.land(jump);
    this.#join();
    e.jumpBack(idle);
    for (const jump of stops) e.land(jump);
    e.constant(RAX, 1);
    e.land(out);
    this.#leave();
    return start;
  }

  /** Sleeps once for a run to start. */
  #sleep(): { readonly stop: ForwardJump; readonly join: ForwardJump } {
    const e = this.encoder;
    const bytes = 16;
    e.arithmeticConstant('subtract', RSP, bytes);
    e.lockAdd32(memory(RBX, CONTROL.sleepers), 1);
    e.load32(RDX, memory(RBX, CONTROL.generation));
    const awake = [this.#ifStop(), this.#ifNewRun()];
    e.load32(RAX, memory(RBX, CONTROL.idleMilliseconds));
    e.multiplyConstant(RAX, RAX, 1_000_000);
    e.store(memory(RSP, 8), RAX);
    e.constant(RAX, 0);
    e.store(memory(RSP), RAX);
    e.move(R10, RSP);
    this.#futexWait(CONTROL.generation);
    for (const jump of awake) e.land(jump);
    e.lockAdd32(memory(RBX, CONTROL.sleepers), -1);
    e.arithmeticConstant('add', RSP, bytes);
    return { stop: this.#ifStop(), join: this.#ifNewRun() };
  }

  /**
   * Jumps when another helper (rcx of them) is active where only one may take tiles. One that has left took part until
   * no tile was left, so no run ever sees two.
   */
  #ifSecondOfTwoEnds(): ForwardJump {
    const e = this.encoder;
    e.load(RAX, memory(RBX, CONTROL.twoEnded));
    e.test(RAX, RAX);
    const anyNumber = e.jumpForward(CONDITION.zero);
    e.instruction(0, 0x85, RCX, RCX); // test ecx, ecx
    const alone = e.jumpForward(CONDITION.zero);
    const second = e.jumpForward();
    e.land(anyNumber);
    e.land(alone);
    return second;
  }

  /** Takes part in the run that is open, if it still is once this thread is known to be reading steps. */
  #join(): void {
    const e = this.encoder;
    e.constant(RCX, 1);
    e.lockExchangeAdd(memory(RBX, CONTROL.active), RCX, 0);
    e.load(RAX, memory(RBX, CONTROL.state));
    e.instruction(0, 0x85, RAX, RAX); // test eax, eax
    const closed = e.jumpForward(CONDITION.zero);
    e.shiftRight(RAX, 32);
    e.move(R12, RAX);
    const second = this.#ifSecondOfTwoEnds();
    this.#participate('back');
    e.land(second);
    e.land(closed);
    e.lockAdd32(memory(RBX, CONTROL.active), -1);
  }

  /** wake(control) */
  wake(): number {
    const start = this.#enter();
    this.encoder.move(RBX, this.#arg(0));
    this.#futexWake(CONTROL.generation);
    this.encoder.constant(RAX, 0);
    this.#leave();
    return start;
  }
}

/** Position-independent code of all runner functions, and where each starts. */
export function emitRunner(options: RunnerOptions): { code: Uint8Array; entries: RunnerEntries } {
  const runner = new Runner(options);
  const entries: RunnerEntries = {
    runAlone: runner.runAlone(),
    runShared: runner.runShared(),
    serve: runner.serve(),
    wake: runner.wake(),
  };
  return { code: runner.encoder.code.copy(), entries };
}
