/** WebAssembly instructions of one function body, and its locals (WebAssembly core specification, chapter 5). */
import { CodeBuffer } from '../code-buffer.ts';

export const I32 = 0x7f;
export const I64 = 0x7e;
export const V128 = 0x7b;
export type ValueType = typeof I32 | typeof I64 | typeof V128;

/** One-byte instructions without operands. */
export const OP = {
  drop: 0x1a,
  return: 0x0f,
  else: 0x05,
  end: 0x0b,
  i32Eqz: 0x45,
  i32Equal: 0x46,
  i32NotEqual: 0x47,
  i32LessSigned: 0x48,
  i32LessUnsigned: 0x49,
  i32Add: 0x6a,
  i32Subtract: 0x6b,
  i32Multiply: 0x6c,
  i32And: 0x71,
  i32Or: 0x72,
  i32ShiftLeft: 0x74,
  i32Wrap: 0xa7,
  i64NotEqual: 0x52,
  i64Add: 0x7c,
  i64Or: 0x84,
  i64Multiply: 0x7e,
  i64ShiftLeft: 0x86,
  i64ShiftRight: 0x88,
  i64Extend: 0xad,
} as const;

/** SIMD instructions, after the prefix FD. */
export const SIMD = {
  load: 0x00,
  load16x4Unsigned: 0x04,
  load16Splat: 0x08,
  load32Splat: 0x09,
  store: 0x0b,
  load16Lane: 0x55,
  load32Lane: 0x56,
  store16Lane: 0x59,
  store32Lane: 0x5a,
  store64Lane: 0x5b,
  load32Zero: 0x5c,
  load64Zero: 0x5d,
  equal: 0x41,
  greater: 0x44,
  greaterOrEqual: 0x46,
  and: 0x4e,
  bitSelect: 0x52,
  nearest: 0x6a,
  narrow32To16Unsigned: 0x86,
  extendLow16To32Unsigned: 0xa9,
  shiftLeft32: 0xab,
  shiftRight32Unsigned: 0xad,
  add32: 0xae,
  absolute: 0xe0,
  negate: 0xe1,
  squareRoot: 0xe3,
  add: 0xe4,
  subtract: 0xe5,
  multiply: 0xe6,
  divide: 0xe7,
  /** pseudoMinimum(a, b) = b < a ? b : a, pseudoMaximum(a, b) = a < b ? b : a */
  pseudoMinimum: 0xea,
  pseudoMaximum: 0xeb,
  relaxedMultiplyAdd: 0x105,
} as const;

/** Atomic instructions, after the prefix FE, with the alignment they demand (log₂). */
export const ATOMIC = {
  notify: { code: 0x00, align: 2 },
  wait32: { code: 0x01, align: 2 },
  load32: { code: 0x10, align: 2 },
  load64: { code: 0x11, align: 3 },
  store32: { code: 0x17, align: 2 },
  store64: { code: 0x18, align: 3 },
  add32: { code: 0x1e, align: 2 },
  compareExchange64: { code: 0x49, align: 3 },
} as const;

export function unsignedLeb(buffer: CodeBuffer, value: number): void {
  let rest = value;
  while (rest >= 0x80) {
    buffer.u8((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  buffer.u8(rest);
}

function signedLeb32(buffer: CodeBuffer, value: number): void {
  let rest = value | 0;
  for (;;) {
    const byte = rest & 0x7f;
    rest >>= 7;
    if ((rest === 0 && byte < 0x40) || (rest === -1 && byte >= 0x40)) {
      buffer.u8(byte);
      return;
    }
    buffer.u8(byte | 0x80);
  }
}

const NO_RESULT = 0x40;

export class Emitter {
  readonly code = new CodeBuffer();
  /** Types of the locals after the parameters. */
  readonly locals: ValueType[] = [];
  readonly #parameters: number;

  constructor(parameters: number) {
    this.#parameters = parameters;
  }

  newLocal(type: ValueType): number {
    this.locals.push(type);
    return this.#parameters + this.locals.length - 1;
  }

  op(...codes: readonly number[]): void {
    for (const code of codes) this.code.u8(code);
  }

  get(local: number): void {
    this.code.u8(0x20);
    unsignedLeb(this.code, local);
  }

  set(local: number): void {
    this.code.u8(0x21);
    unsignedLeb(this.code, local);
  }

  tee(local: number): void {
    this.code.u8(0x22);
    unsignedLeb(this.code, local);
  }

  i32(value: number): void {
    this.code.u8(0x41);
    signedLeb32(this.code, value);
  }

  /** A 64-bit constant that fits 32 signed bits. */
  i64(value: number): void {
    this.code.u8(0x42);
    signedLeb32(this.code, value);
  }

  loadI32(offset: number): void {
    this.code.u8(0x28);
    this.#memory(0, offset);
  }

  #memory(align: number, offset: number): void {
    this.code.u8(align);
    unsignedLeb(this.code, offset);
  }

  simd(code: number): void {
    this.code.u8(0xfd);
    unsignedLeb(this.code, code);
  }

  simdMemory(code: number, offset: number, lane?: number): void {
    this.simd(code);
    this.#memory(0, offset);
    if (lane !== undefined) this.code.u8(lane);
  }

  /** The same 32-bit word in all lanes. */
  vectorConstant(word: number): void {
    this.simd(0x0c);
    for (let lane = 0; lane < 4; lane++) this.code.u32(word);
  }

  /** Lanes of one vector, taken twice from the stack, in another order. */
  shuffle32(lanes: readonly [number, number, number, number]): void {
    this.simd(0x0d);
    for (const lane of lanes) for (let byte = 0; byte < 4; byte++) this.code.u8(lane * 4 + byte);
  }

  atomic(instruction: (typeof ATOMIC)[keyof typeof ATOMIC], offset: number): void {
    this.code.u8(0xfe);
    this.code.u8(instruction.code);
    this.#memory(instruction.align, offset);
  }

  call(functionIndex: number): void {
    this.code.u8(0x10);
    unsignedLeb(this.code, functionIndex);
  }

  /** Calls through table 0; the table index is on top of the stack. */
  callIndirect(type: number): void {
    this.code.u8(0x11);
    unsignedLeb(this.code, type);
    this.code.u8(0);
  }

  block(body: () => void): void {
    this.#structured(0x02, body);
  }

  loop(body: () => void): void {
    this.#structured(0x03, body);
  }

  if(then: () => void, otherwise?: () => void): void {
    this.#structured(0x04, () => {
      then();
      if (otherwise === undefined) return;
      this.code.u8(OP.else);
      otherwise();
    });
  }

  #structured(opcode: number, body: () => void): void {
    this.code.u8(opcode);
    this.code.u8(NO_RESULT);
    body();
    this.code.u8(OP.end);
  }

  /** Leaves `depth` enclosing blocks, or starts a loop anew. */
  branch(depth: number): void {
    this.code.u8(0x0c);
    unsignedLeb(this.code, depth);
  }

  branchIf(depth: number): void {
    this.code.u8(0x0d);
    unsignedLeb(this.code, depth);
  }

  /** Counts a local down by one and starts the enclosing loop anew unless that gave 0. */
  countDown(local: number): void {
    this.get(local);
    this.i32(1);
    this.op(OP.i32Subtract);
    this.tee(local);
    this.branchIf(0);
  }
}
