/**
 * x86-64 machine code, integer instructions: prefixes, ModRM, SIB, displacements, jumps. Vector instructions
 * (vector-encoder.ts) share its addressing. Operands are 64 bits wide unless a name says otherwise.
 * Formats: Intel SDM volume 2, chapter 2.
 */
import { EngineError } from '../../errors.ts';
import { CodeBuffer } from '../code-buffer.ts';
import { type Memory, POOL, type PoolFixup } from './operand.ts';
import { RSP } from './registers.ts';

/** Condition codes of Jcc. */
export const CONDITION = {
  below: 2,
  aboveOrEqual: 3,
  zero: 4,
  notZero: 5,
  less: 12,
  greaterOrEqual: 13,
} as const;
export type Condition = (typeof CONDITION)[keyof typeof CONDITION];

/** A place that a jump further up waits for: where its 32-bit distance lies. */
export interface ForwardJump {
  readonly position: number;
}

type Arithmetic = 'add' | 'or' | 'and' | 'subtract' | 'xor' | 'compare';
const arithmeticCodes: Readonly<Record<Arithmetic, number>> = {
  add: 0,
  or: 1,
  and: 4,
  subtract: 5,
  xor: 6,
  compare: 7,
};

/** The recommended no-operations of 1 … 8 bytes. */
const nops: readonly (readonly number[])[] = [
  [],
  [0x90],
  [0x66, 0x90],
  [0x0f, 0x1f, 0x00],
  [0x0f, 0x1f, 0x40, 0x00],
  [0x0f, 0x1f, 0x44, 0x00, 0x00],
  [0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
  [0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
  [0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
];

const log2 = { 1: 0, 2: 1, 4: 2, 8: 3 } as const;
const fitsI8 = (value: number): boolean => value >= -128 && value <= 127;
const fitsI32 = (value: number): boolean => value >= -(2 ** 31) && value < 2 ** 31;

export class Encoder {
  readonly code = new CodeBuffer();
  readonly fixups: PoolFixup[] = [];

  /**
   * ModRM, SIB and displacement.
   * @param unit bytes that an 8-bit displacement counts in (EVEX compresses it; 1 elsewhere)
   * @param bytesAfter immediate bytes that follow
   */
  operand(reg: number, rm: number | Memory, unit = 1, bytesAfter = 0): void {
    const code = this.code;
    const regBits = (reg & 7) << 3;
    if (typeof rm === 'number') {
      code.u8(0xc0 | regBits | (rm & 7));
      return;
    }
    if (rm.base === POOL) {
      code.u8(regBits | 5);
      this.fixups.push({ position: code.length, bytesAfter });
      code.u32(rm.offset);
      return;
    }
    if (rm.index === RSP) throw new EngineError('assembler: rsp cannot be an index', { rm });
    if (!fitsI32(rm.offset)) {
      throw new EngineError(`assembler: address offset ${rm.offset} does not fit 31 bits`, { rm });
    }
    const base = rm.base & 7;
    const short = rm.offset / unit;
    const mode = rm.offset === 0 && base !== 5 ? 0 : Number.isInteger(short) && fitsI8(short) ? 0x40 : 0x80;
    if (rm.index === undefined && base !== 4) code.u8(mode | regBits | base);
    else {
      code.u8(mode | regBits | 4);
      code.u8((rm.index === undefined ? 0x20 : (log2[rm.scale] << 6) | ((rm.index & 7) << 3)) | base);
    }
    if (mode === 0x40) code.u8(short);
    else if (mode === 0x80) code.u32(rm.offset);
  }

  /** REX prefix (left out where it says nothing), opcode, operand. An opcode above 255 has 0F before it. */
  instruction(wide: 0 | 1, opcode: number, reg: number, rm: number | Memory, bytesAfter = 0): void {
    const base = typeof rm === 'number' ? rm : Math.max(rm.base, 0);
    const index = typeof rm === 'number' ? 0 : (rm.index ?? 0);
    const rex = (wide << 3) | ((reg >> 3) << 2) | ((index >> 3) << 1) | (base >> 3);
    if (rex !== 0) this.code.u8(0x40 | rex);
    if (opcode > 0xff) this.code.u8(opcode >> 8);
    this.code.u8(opcode);
    this.operand(reg, rm, 1, bytesAfter);
  }

  move(target: number, source: number): void {
    if (target !== source) this.instruction(1, 0x89, source, target);
  }

  /** The low half, zero-extended. */
  move32(target: number, source: number): void {
    this.instruction(0, 0x89, source, target);
  }

  /** Changes flags. */
  constant(target: number, value: number): void {
    if (value === 0) this.instruction(0, 0x31, target, target);
    else if (value > 0 && value < 2 ** 32) {
      if (target > 7) this.code.u8(0x41);
      this.code.u8(0xb8 | (target & 7));
      this.code.u32(value);
    } else if (fitsI32(value)) {
      this.instruction(1, 0xc7, 0, target, 4);
      this.code.u32(value);
    } else {
      this.code.u8(0x48 | (target >> 3));
      this.code.u8(0xb8 | (target & 7));
      this.code.u64(value);
    }
  }

  load(target: number, source: Memory): void {
    this.instruction(1, 0x8b, target, source);
  }

  /** Zero-extended. */
  load32(target: number, source: Memory): void {
    this.instruction(0, 0x8b, target, source);
  }

  loadSigned32(target: number, source: Memory): void {
    this.instruction(1, 0x63, target, source);
  }

  store(target: Memory, source: number): void {
    this.instruction(1, 0x89, source, target);
  }

  store32(target: Memory, source: number): void {
    this.instruction(0, 0x89, source, target);
  }

  address(target: number, source: Memory): void {
    this.instruction(1, 0x8d, target, source);
  }

  arithmetic(op: Arithmetic, target: number, source: number): void {
    this.instruction(1, (arithmeticCodes[op] << 3) | 1, source, target);
  }

  arithmeticMemory(op: Arithmetic, target: number, source: Memory, wide: 0 | 1 = 1): void {
    this.instruction(wide, (arithmeticCodes[op] << 3) | 3, target, source);
  }

  arithmeticConstant(op: Arithmetic, target: number | Memory, value: number, wide: 0 | 1 = 1): void {
    const short = fitsI8(value);
    this.instruction(wide, short ? 0x83 : 0x81, arithmeticCodes[op], target, short ? 1 : 4);
    if (short) this.code.u8(value);
    else this.code.u32(value);
  }

  multiplyConstant(target: number, source: number, factor: number): void {
    const short = fitsI8(factor);
    this.instruction(1, short ? 0x6b : 0x69, target, source, short ? 1 : 4);
    if (short) this.code.u8(factor);
    else this.code.u32(factor);
  }

  multiply(target: number, source: Memory | number): void {
    this.instruction(1, 0x0faf, target, source);
  }

  shiftLeft(target: number, bits: number): void {
    this.instruction(1, 0xc1, 4, target, 1);
    this.code.u8(bits);
  }

  shiftRight(target: number, bits: number): void {
    this.instruction(1, 0xc1, 5, target, 1);
    this.code.u8(bits);
  }

  test(left: number, right: number, wide: 0 | 1 = 1): void {
    this.instruction(wide, 0x85, right, left);
  }

  push(register: number): void {
    if (register > 7) this.code.u8(0x41);
    this.code.u8(0x50 | (register & 7));
  }

  pop(register: number): void {
    if (register > 7) this.code.u8(0x41);
    this.code.u8(0x58 | (register & 7));
  }

  call(target: Memory | number): void {
    this.instruction(0, 0xff, 2, target);
  }

  return(): void {
    this.code.u8(0xc3);
  }

  pause(): void {
    this.code.u8(0xf3);
    this.code.u8(0x90);
  }

  syscall(): void {
    this.code.u8(0x0f);
    this.code.u8(0x05);
  }

  cpuid(): void {
    this.code.u8(0x0f);
    this.code.u8(0xa2);
  }

  /** Ticks into edx:eax. */
  rdtsc(): void {
    this.code.u8(0x0f);
    this.code.u8(0x31);
  }

  xgetbv(): void {
    this.code.u8(0x0f);
    this.code.u8(0x01);
    this.code.u8(0xd0);
  }

  /** prefetcht0, or t1. */
  prefetch(source: Memory, level: 0 | 1 = 0): void {
    this.instruction(0, 0x0f18, 1 + level, source);
  }

  /** What was stored past the caches is there for all before anything that is stored next. */
  storeFence(): void {
    this.code.u8(0x0f);
    this.code.u8(0xae);
    this.code.u8(0xf8);
  }

  /** target += source, source = what target was; all at once for other threads. */
  lockExchangeAdd(target: Memory, source: number, wide: 0 | 1 = 1): void {
    this.code.u8(0xf0);
    this.instruction(wide, 0x0fc1, source, target);
  }

  /** If target = rax then target = source and the zero flag is set, else rax = target. */
  lockCompareExchange(target: Memory, source: number): void {
    this.code.u8(0xf0);
    this.instruction(1, 0x0fb1, source, target);
  }

  lockAdd32(target: Memory, value: number): void {
    this.code.u8(0xf0);
    this.arithmeticConstant('add', target, value, 0);
  }

  /** Stores with a full barrier; source holds the old value afterwards. */
  exchange(target: Memory, source: number): void {
    this.instruction(1, 0x87, source, target);
  }

  /** A place to jump back to. */
  here(): number {
    return this.code.length;
  }

  alignedHere(alignment: number): number {
    let gap = -this.code.length & (alignment - 1);
    while (gap > 0) {
      const nop = nops[Math.min(gap, 8)] ?? [];
      for (const byte of nop) this.code.u8(byte);
      gap -= nop.length;
    }
    return this.code.length;
  }

  jumpBack(target: number, condition?: Condition): void {
    const short = target - (this.code.length + 2);
    if (fitsI8(short)) {
      this.code.u8(condition === undefined ? 0xeb : 0x70 | condition);
      this.code.u8(short);
      return;
    }
    this.#jumpOpcode(condition);
    this.code.u32(target - (this.code.length + 4));
  }

  jumpForward(condition?: Condition): ForwardJump {
    this.#jumpOpcode(condition);
    const position = this.code.length;
    this.code.u32(0);
    return { position };
  }

  /** Makes a forward jump land here. */
  land(jump: ForwardJump): void {
    this.code.setU32(jump.position, this.code.length - (jump.position + 4));
  }

  #jumpOpcode(condition: Condition | undefined): void {
    if (condition === undefined) this.code.u8(0xe9);
    else {
      this.code.u8(0x0f);
      this.code.u8(0x80 | condition);
    }
  }
}
