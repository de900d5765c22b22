import { EngineError } from '../../errors.ts';
import { countedLoop } from '../counted-loop.ts';
import { RegisterFile } from '../register-file.ts';
import type { Address, ControlInstructions, Int, IntInstructions } from '../vector-assembler.ts';
import { CONDITION, Encoder, type ForwardJump } from './encoder.ts';
import { type Memory, memory } from './operand.ts';
import type { CallingConvention } from './registers.ts';

const LOOP_ALIGNMENT = 32;

/** Plain memory, `more` bytes further on; whether to broadcast is for the instruction to say. */
export function memoryAt(address: Address, more = 0): Memory {
  return {
    base: address.base.register,
    offset: address.offset + more,
    index: address.index?.register,
    scale: address.scale,
    broadcast: false,
  };
}

/** Integers and control; a kernel's one argument is the tile record. */
export class X64Integers implements IntInstructions, ControlInstructions {
  readonly encoder = new Encoder();
  readonly record: Int;
  readonly #convention: CallingConvention;
  readonly #ints: RegisterFile;

  constructor(convention: CallingConvention) {
    this.#convention = convention;
    const argument = convention.arguments[0] ?? 0;
    this.record = { kind: 'int', register: argument };
    const { volatile, preserved } = convention;
    this.#ints = new RegisterFile(
      'integer',
      [...volatile, ...preserved].filter((register) => register !== argument),
    );
  }

  newInt(): Int {
    return { kind: 'int', register: this.#ints.take() };
  }

  slot(index: number): Int {
    const target = this.newInt();
    this.encoder.load(target.register, memory(this.record.register, index * 8));
    return target;
  }

  int(value: number): Int {
    const target = this.newInt();
    this.encoder.constant(target.register, value);
    return target;
  }

  freeInt(...ints: readonly Int[]): void {
    for (const int of ints) this.#ints.free(int.register);
  }

  moveInt(target: Int, source: Int | number): void {
    if (typeof source === 'number') this.encoder.constant(target.register, source);
    else this.encoder.move(target.register, source.register);
  }

  addInt(target: Int, source: Int | number): void {
    if (typeof source !== 'number') this.encoder.arithmetic('add', target.register, source.register);
    else if (source !== 0) this.encoder.arithmeticConstant('add', target.register, checkI32(source));
  }

  subtractInt(target: Int, source: Int | number): void {
    if (typeof source !== 'number') this.encoder.arithmetic('subtract', target.register, source.register);
    else if (source !== 0) this.encoder.arithmeticConstant('subtract', target.register, checkI32(source));
  }

  multiplyInt(target: Int, factor: number): void {
    this.encoder.multiplyConstant(target.register, target.register, checkI32(factor));
  }

  loadPointer(target: Int, address: Address): void {
    this.encoder.load(target.register, memoryAt(address));
  }

  loadI32(target: Int, address: Address): void {
    this.encoder.loadSigned32(target.register, memoryAt(address));
  }

  loop(times: number | Int, body: () => void): void {
    countedLoop(this, times, body, (counter, turn) => {
      const top = this.encoder.alignedHere(LOOP_ALIGNMENT);
      turn();
      this.encoder.arithmeticConstant('subtract', counter.register, 1);
      this.encoder.jumpBack(top, CONDITION.notZero);
    });
  }

  whileNonZero(value: Int, body: () => void): void {
    this.ifNonZero(value, () => {
      const top = this.encoder.alignedHere(LOOP_ALIGNMENT);
      body();
      this.encoder.test(value.register, value.register);
      this.encoder.jumpBack(top, CONDITION.notZero);
    });
  }

  ifNonZero(value: Int, then: () => void, otherwise?: () => void): void {
    this.encoder.test(value.register, value.register);
    this.#branch(this.encoder.jumpForward(CONDITION.zero), then, otherwise);
  }

  ifLess(left: Int, right: Int | number, then: () => void, otherwise?: () => void): void {
    if (typeof right === 'number') this.encoder.arithmeticConstant('compare', left.register, checkI32(right));
    else this.encoder.arithmetic('compare', left.register, right.register);
    this.#branch(this.encoder.jumpForward(CONDITION.greaterOrEqual), then, otherwise);
  }

  #branch(toOtherwise: ForwardJump, then: () => void, otherwise: (() => void) | undefined): void {
    then();
    if (otherwise === undefined) {
      this.encoder.land(toOtherwise);
      return;
    }
    const toEnd = this.encoder.jumpForward();
    this.encoder.land(toOtherwise);
    otherwise();
    this.encoder.land(toEnd);
  }

  /** Registers that the code uses and its caller wants back. */
  protected savedInts(): number[] {
    return this.#convention.preserved.filter((register) => this.#ints.used(register));
  }
}

function checkI32(value: number): number {
  if (Number.isInteger(value) && value >= -(2 ** 31) && value < 2 ** 31) return value;
  throw new EngineError(`assembler: expected a 32-bit integer constant, found ${value}`, { value });
}
