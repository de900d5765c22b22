/**
 * The instruction set on x86-64: integers, control and everything that AVX2 and AVX-512 do alike. The two
 * subclasses add what differs (avx2.ts, avx512.ts).
 */
import { EngineError } from '../../errors.ts';
import { RegisterFile } from '../register-file.ts';
import type {
  Address,
  BinaryOp,
  Comparison,
  Feature,
  LaneReduction,
  Operand,
  PairInstructions,
  TileInstructions,
  UnaryOp,
  Vec,
  VectorAssembler,
} from '../vector-assembler.ts';
import { createTiles } from './amx.ts';
import type { ConstantPool } from './constant-pool.ts';
import type { Encoder } from './encoder.ts';
import { type Memory, memory, pool } from './operand.ts';
import type { CallingConvention } from './registers.ts';
import {
  type Options,
  VECTOR,
  type VectorBytes,
  type VectorInstruction,
  vector,
  vzeroupper,
} from './vector-encoder.ts';
import { memoryAt, X64Integers } from './x64-integers.ts';
import type { X64Target } from './x64-target.ts';

/** Everything a kernel's code is built from, besides its generator. */
export interface X64Context {
  readonly target: X64Target;
  readonly convention: CallingConvention;
  readonly pool: ConstantPool;
}

export const binaryRows: Readonly<Record<BinaryOp, VectorInstruction>> = {
  add: VECTOR.vaddps,
  subtract: VECTOR.vsubps,
  multiply: VECTOR.vmulps,
  divide: VECTOR.vdivps,
  maximum: VECTOR.vmaxps,
  minimum: VECTOR.vminps,
};

/** Immediates of VCMPPS, ordered and quiet. */
export const comparisonCodes: Readonly<Record<Comparison, number>> = {
  greater: 0x1e,
  greaterOrEqual: 0x1d,
  equal: 0x00,
};

/** A vector id is a register number here; the only place that makes ids from numbers. */
const asVec = (register: number): Vec => register as Vec;

export abstract class X64Assembler extends X64Integers implements VectorAssembler {
  readonly target: X64Target;
  readonly lanes: number;
  readonly tiles: TileInstructions | undefined;
  abstract readonly pairs: PairInstructions | undefined;
  protected readonly bytes: VectorBytes;
  protected readonly pool: ConstantPool;
  protected readonly convention: CallingConvention;
  #storesPast = false;
  readonly #vecs: RegisterFile;

  constructor(context: X64Context, bytes: VectorBytes, vectorOrder: readonly number[]) {
    super(context.convention);
    this.target = context.target;
    this.lanes = context.target.lanes;
    this.bytes = bytes;
    this.pool = context.pool;
    this.convention = context.convention;
    this.#vecs = new RegisterFile('vector', vectorOrder);
    this.tiles = this.has('tiles') ? createTiles(this.encoder, this.pool) : undefined;
  }

  has(feature: Feature): boolean {
    return this.target.features.has(feature);
  }

  protected emit(
    row: VectorInstruction,
    reg: number,
    second: number,
    rm: number | Memory,
    options?: Options,
    bytes: VectorBytes = this.bytes,
  ): void {
    vector(this.encoder, row, bytes, reg, second, rm, options);
  }

  /** A register that no generator holds, for the length of one instruction of the set. */
  protected borrow(use: (scratch: number) => void): void {
    const scratch = this.#vecs.take();
    use(scratch);
    this.#vecs.free(scratch);
  }

  // Vectors that both widths handle alike

  newVec(): Vec {
    return asVec(this.#vecs.take());
  }

  freeVec(...vecs: readonly Vec[]): void {
    for (const vec of vecs) this.#vecs.free(vec);
  }

  zero(target: Vec): void {
    this.emit(VECTOR.vpxor, target, target, target);
  }

  move(target: Vec, source: Vec): void {
    if (target !== source) this.emit(VECTOR.vmovaps, target, 0, source);
  }

  constant(target: Vec, value: number): void {
    if (Object.is(value, 0)) this.zero(target);
    else this.emit(VECTOR.vbroadcastss, target, 0, pool(this.pool.f32(value)));
  }

  broadcast(target: Vec, address: Address): void {
    this.emit(VECTOR.vbroadcastss, target, 0, memoryAt(address));
  }

  broadcastBf16(target: Vec, address: Address): void {
    this.emit(VECTOR.vpbroadcastw, target, 0, memoryAt(address));
    this.shiftLeft(target, target, 16);
  }

  storeBf16Pair(address: Address, low: Vec, high: Vec): void {
    this.storeBf16(address, low);
    this.storeBf16({ ...address, offset: address.offset + this.lanes * 2 }, high);
  }

  storePast(address: Address, source: Vec): void {
    this.#storesPast = true;
    this.emit(VECTOR.vmovntps, source, 0, memoryAt(address));
  }

  prefetch(address: Address, into?: 'second'): void {
    this.encoder.prefetch(memoryAt(address), into === 'second' ? 1 : 0);
  }

  binary(op: BinaryOp, target: Vec, left: Vec, right: Operand): void {
    this.withOperand(right, (rm) => this.emit(binaryRows[op], target, left, rm));
  }

  fma(sum: Vec, left: Vec, right: Operand): void {
    this.withOperand(right, (rm) => this.emit(VECTOR.vfmadd231ps, sum, left, rm));
  }

  dotBf16(sum: Vec, left: Vec, right: Operand): void {
    if (!this.has('bf16Dot')) {
      throw new EngineError(`assembler: target ${this.target.name} has no dotBf16 here; ask has('bf16Dot')`, {
        target: this.target.name,
      });
    }
    this.withOperand(right, (rm) => this.emit(VECTOR.vdpbf16ps, sum, left, rm));
  }

  protected shiftLeft(target: number, source: number, bits: number): void {
    this.emit(VECTOR.vpshiftd, 6, target, source, { immediate: bits });
  }

  protected shiftRight(target: number, source: number, bits: number): void {
    this.emit(VECTOR.vpshiftd, 2, target, source, { immediate: bits });
  }

  /** Checks a count of lanes; undefined means all of them. */
  protected partial(count: number | undefined): number | undefined {
    if (count === undefined || count === this.lanes) return undefined;
    if (Number.isInteger(count) && count >= 1 && count < this.lanes) return count;
    throw new EngineError(`assembler: expected a count of lanes from 1 to ${this.lanes}, found ${count}`, {
      count,
      lanes: this.lanes,
    });
  }

  // Framing: what stands before and after the body

  /** Code before the body: saves what the convention preserves and the kernel uses. */
  prologue(encoder: Encoder): void {
    for (const register of this.savedInts()) encoder.push(register);
    const vecs = this.#savedVecs();
    if (vecs.length > 0) encoder.arithmeticConstant('subtract', 4, 16 * vecs.length);
    for (const [i, register] of vecs.entries())
      vector(encoder, VECTOR.vmovupsStore, 16, register, 0, memory(4, 16 * i));
    this.prepare(encoder);
  }

  epilogue(encoder: Encoder): void {
    if (this.#storesPast) encoder.storeFence();
    vzeroupper(encoder);
    const vecs = this.#savedVecs();
    for (const [i, register] of vecs.entries())
      vector(encoder, VECTOR.vmovups, 16, register, 0, memory(4, 16 * i));
    if (vecs.length > 0) encoder.arithmeticConstant('add', 4, 16 * vecs.length);
    for (const register of this.savedInts().reverse()) encoder.pop(register);
    encoder.return();
  }

  #savedVecs(): number[] {
    return this.convention.preservedVectors.filter((register) => this.#vecs.used(register));
  }

  /** What the width wants done once, before the body. */
  protected abstract prepare(encoder: Encoder): void;
  protected abstract withOperand(operand: Operand, use: (rm: number | Memory) => void): void;
  abstract load(target: Vec, address: Address, count?: number): void;
  abstract store(address: Address, source: Vec, count?: number): void;
  abstract loadBf16(target: Vec, address: Address, count?: number): void;
  abstract storeBf16(address: Address, source: Vec, count?: number): void;
  abstract unary(op: UnaryOp, target: Vec, source: Vec): void;
  abstract select(c: Comparison, target: Vec, left: Vec, right: Vec, whenTrue: Vec, whenFalse: Vec): void;
  abstract scaleByPowerOfTwo(target: Vec, source: Vec, exponent: Vec): void;
  abstract reduceLanes(op: LaneReduction, target: Vec, source: Vec): void;
}
