/**
 * What all functions of the runner share: how they begin and end, and how a thread looks, waits and wakes.
 *
 * Registers throughout: rbx control, r12 generation, rbp step, r13 its first tile, r14 end of steps, r15 tile.
 */
import { CONTROL } from '../../runner-layout.ts';
import { CONDITION, Encoder, type ForwardJump } from '../encoder.ts';
import { type Memory, memory } from '../operand.ts';
import {
  type CallingConvention,
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
} from '../registers.ts';

export interface RunnerOptions {
  readonly convention: CallingConvention;
  readonly futex: boolean;
}

/** Own tiles of a step, calls left of a tile, and what aligns the stack. */
const FRAME_BYTES = 24;
const saved = [RBX, RBP, R12, R13, R14, R15] as const;
const SYS_FUTEX = 202;
const FUTEX_WAIT_PRIVATE = 128;
const FUTEX_WAKE_PRIVATE = 129;

export class RunnerCode {
  readonly encoder = new Encoder();
  /** Whether a thread can sleep until another wakes it. */
  readonly futex: boolean;
  readonly #argument: readonly number[];
  readonly #shadow: number;

  constructor(options: RunnerOptions) {
    this.#argument = options.convention.arguments;
    this.#shadow = options.convention.shadowBytes;
    this.futex = options.futex;
  }

  arg(index: number): number {
    return this.#argument[index] ?? RAX;
  }

  enter(): number {
    const start = this.encoder.alignedHere(16);
    for (const register of saved) this.encoder.push(register);
    this.encoder.arithmeticConstant('subtract', RSP, FRAME_BYTES + this.#shadow);
    return start;
  }

  leave(): void {
    this.encoder.arithmeticConstant('add', RSP, FRAME_BYTES + this.#shadow);
    for (const register of [...saved].reverse()) this.encoder.pop(register);
    this.encoder.return();
  }

  /** Tiles of this step that the thread has taken, on its stack. */
  ownTiles(): Memory {
    return memory(RSP, this.#shadow);
  }

  /** Calls that a tile still has to make, on the thread's stack. */
  callsLeft(): Memory {
    return memory(RSP, this.#shadow + 8);
  }

  futexWake(offset: number): void {
    const e = this.encoder;
    if (!this.futex) return;
    e.address(RDI, memory(RBX, offset));
    e.constant(RSI, FUTEX_WAKE_PRIVATE);
    e.constant(RDX, 0x7fffffff);
    e.constant(RAX, SYS_FUTEX);
    e.syscall();
  }

  /** Sleeps while the word still holds rdx; r10 points to the longest time, or is 0. */
  futexWait(offset: number): void {
    const e = this.encoder;
    e.address(RDI, memory(RBX, offset));
    e.constant(RSI, FUTEX_WAIT_PRIVATE);
    e.constant(RAX, SYS_FUTEX);
    e.syscall();
  }

  /** Jumps when the run of generation r12 is over. Changes rax. */
  ifOtherGeneration(): ForwardJump {
    const e = this.encoder;
    e.load32(RAX, memory(RBX, CONTROL.generation));
    e.arithmetic('compare', RAX, R12);
    return e.jumpForward(CONDITION.notZero);
  }

  /** Jumps when r13 tiles are done. Leaves their number in rdx. */
  ifReady(): ForwardJump {
    const e = this.encoder;
    e.load32(RDX, memory(RBX, CONTROL.done));
    e.arithmetic('compare', RDX, R13);
    return e.jumpForward(CONDITION.aboveOrEqual);
  }

  /** rcx = ticks of now. Changes rax and rdx. */
  startClock(): void {
    this.encoder.rdtsc();
    this.encoder.move(RCX, RAX);
  }

  /** Jumps back while fewer than `spins` ticks have passed since rcx, in 32 bits that wrap. Changes rax and rdx. */
  untilPatienceEnds(spin: number): void {
    const e = this.encoder;
    e.rdtsc();
    e.instruction(0, 0x2b, RAX, RCX); // sub eax, ecx
    e.arithmeticMemory('compare', RAX, memory(RBX, CONTROL.spins), 0);
    e.jumpBack(spin, CONDITION.below);
  }
}
