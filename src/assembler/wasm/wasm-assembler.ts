/** The instruction set as WebAssembly: 4 lanes of simd128, with fused multiply-add where relaxed SIMD is on. */
import { EngineError } from '../../errors.ts';
import type {
  Address,
  BinaryOp,
  Comparison,
  Feature,
  LaneReduction,
  Operand,
  UnaryOp,
  Vec,
  VectorAssembler,
} from '../vector-assembler.ts';
import { SIMD, V128 } from './emitter.ts';
import { LocalFile } from './local-file.ts';
import { WasmIntegers } from './wasm-integers.ts';
import { LANES, VECTOR_REGISTERS, type WasmTarget } from './wasm-target.ts';

const unaryCodes: Readonly<Record<UnaryOp, number>> = {
  absolute: SIMD.absolute,
  negate: SIMD.negate,
  squareRoot: SIMD.squareRoot,
  round: SIMD.nearest,
};

const comparisonCodes: Readonly<Record<Comparison, number>> = {
  greater: SIMD.greater,
  greaterOrEqual: SIMD.greaterOrEqual,
  equal: SIMD.equal,
};

/** Code, and whether it takes its operands the other way round (to return b, not a, beside a NaN). */
const binaryCodes: Readonly<Record<BinaryOp, { readonly code: number; readonly swapped: boolean }>> = {
  add: { code: SIMD.add, swapped: false },
  subtract: { code: SIMD.subtract, swapped: false },
  multiply: { code: SIMD.multiply, swapped: false },
  divide: { code: SIMD.divide, swapped: false },
  maximum: { code: SIMD.pseudoMaximum, swapped: true },
  minimum: { code: SIMD.pseudoMinimum, swapped: true },
};

const f32Bits = (value: number): number => new Uint32Array(new Float32Array([value]).buffer)[0] ?? 0;
const asVec = (local: number): Vec => local as Vec;

export class WasmAssembler extends WasmIntegers implements VectorAssembler {
  readonly target: WasmTarget;
  readonly lanes = LANES;
  readonly tiles = undefined;
  readonly pairs = undefined;
  readonly #vecs = new LocalFile('vector', VECTOR_REGISTERS, V128, this.emitter);
  #temporary: number | undefined;

  constructor(target: WasmTarget) {
    super();
    this.target = target;
  }

  has(feature: Feature): boolean {
    return this.target.features.has(feature);
  }

  // Memory

  #pushLoad(code: number, address: Address, offset = 0): void {
    this.pushAddress(address);
    this.emitter.simdMemory(code, address.offset + offset);
  }

  #pushOperand(operand: Operand): void {
    if (typeof operand === 'number') this.emitter.get(operand);
    else this.#pushLoad(operand.broadcast ? SIMD.load32Splat : SIMD.load, operand);
  }

  /** Puts memory into a lane of the vector that `vectorOnStack` pushes. */
  #pushLoadLane(code: number, address: Address, offset: number, lane: number, vector: () => void): void {
    this.pushAddress(address);
    vector();
    this.emitter.simdMemory(code, address.offset + offset, lane);
  }

  #storeLane(code: number, address: Address, offset: number, lane: number, local: number): void {
    this.pushAddress(address);
    this.emitter.get(local);
    this.emitter.simdMemory(code, address.offset + offset, lane);
  }

  #count(count: number | undefined): number {
    if (count === undefined) return LANES;
    if (Number.isInteger(count) && count >= 1 && count <= LANES) return count;
    throw new EngineError(`assembler: expected a count of lanes from 1 to ${LANES}, found ${count}`, {
      count,
      lanes: LANES,
    });
  }

  load(target: Vec, address: Address, count?: number): void {
    const lanes = this.#count(count);
    if (lanes === 4) this.#pushOperand(address);
    else if (lanes === 1) this.#pushLoad(SIMD.load32Zero, address);
    else if (lanes === 2) this.#pushLoad(SIMD.load64Zero, address);
    else this.#pushLoadLane(SIMD.load32Lane, address, 8, 2, () => this.#pushLoad(SIMD.load64Zero, address));
    this.emitter.set(target);
  }

  store(address: Address, source: Vec, count?: number): void {
    const lanes = this.#count(count);
    if (lanes === 4) {
      this.pushAddress(address);
      this.emitter.get(source);
      this.emitter.simdMemory(SIMD.store, address.offset);
      return;
    }
    if (lanes >= 2) this.#storeLane(SIMD.store64Lane, address, 0, 0, source);
    if (lanes !== 2) this.#storeLane(SIMD.store32Lane, address, 4 * (lanes - 1), lanes - 1, source);
  }

  broadcast(target: Vec, address: Address): void {
    this.#pushLoad(SIMD.load32Splat, address);
    this.emitter.set(target);
  }

  #shift(code: number, bits: number): void {
    this.emitter.i32(bits);
    this.emitter.simd(code);
  }

  loadBf16(target: Vec, address: Address, count?: number): void {
    const lanes = this.#count(count);
    const word = (lane: number, vector: () => void): void =>
      this.#pushLoadLane(SIMD.load16Lane, address, 2 * lane, lane, vector);
    const pair = (): void => this.#pushLoad(SIMD.load32Zero, address);
    if (lanes === 4) this.#pushLoad(SIMD.load16x4Unsigned, address);
    else {
      if (lanes === 1) word(0, () => this.emitter.vectorConstant(0));
      else if (lanes === 2) pair();
      else word(2, pair);
      this.emitter.simd(SIMD.extendLow16To32Unsigned);
    }
    this.#shift(SIMD.shiftLeft32, 16);
    this.emitter.set(target);
  }

  storeBf16(address: Address, source: Vec, count?: number): void {
    const lanes = this.#count(count);
    this.#temporary ??= this.emitter.newLocal(V128);
    const rounded = this.#temporary;
    this.#pushRounded(source);
    this.emitter.set(rounded);
    if (lanes === 4) this.#storeLane(SIMD.store64Lane, address, 0, 0, rounded);
    else {
      if (lanes >= 2) this.#storeLane(SIMD.store32Lane, address, 0, 0, rounded);
      if (lanes !== 2) this.#storeLane(SIMD.store16Lane, address, 2 * (lanes - 1), lanes - 1, rounded);
    }
  }

  storeBf16Pair(address: Address, low: Vec, high: Vec): void {
    this.storeBf16(address, low);
    this.storeBf16({ ...address, offset: address.offset + this.lanes * 2 }, high);
  }

  /** Four bf16 words in the low half: x + 0x7fff + lowest kept bit, halved; NaN to 0x7fc0. */
  #pushRounded(source: Vec): void {
    const e = this.emitter;
    e.get(source);
    this.#shift(SIMD.shiftRight32Unsigned, 16);
    e.vectorConstant(1);
    e.simd(SIMD.and);
    e.get(source);
    e.simd(SIMD.add32);
    e.vectorConstant(0x7fff);
    e.simd(SIMD.add32);
    this.#shift(SIMD.shiftRight32Unsigned, 16);
    e.vectorConstant(0x7fc0);
    e.get(source);
    e.get(source);
    e.simd(SIMD.equal);
    e.simd(SIMD.bitSelect);
    e.vectorConstant(0);
    e.simd(SIMD.narrow32To16Unsigned);
  }

  broadcastBf16(target: Vec, address: Address): void {
    this.#pushLoad(SIMD.load16Splat, address);
    this.#shift(SIMD.shiftLeft32, 16);
    this.emitter.set(target);
  }

  prefetch(): void {}

  storePast(address: Address, source: Vec): void {
    this.store(address, source);
  }

  // Arithmetic

  newVec(): Vec {
    return asVec(this.#vecs.take());
  }

  freeVec(...vecs: readonly Vec[]): void {
    for (const vec of vecs) this.#vecs.free(vec);
  }

  zero(target: Vec): void {
    this.emitter.vectorConstant(0);
    this.emitter.set(target);
  }

  move(target: Vec, source: Vec): void {
    this.emitter.get(source);
    this.emitter.set(target);
  }

  constant(target: Vec, value: number): void {
    this.emitter.vectorConstant(f32Bits(value));
    this.emitter.set(target);
  }

  binary(op: BinaryOp, target: Vec, left: Vec, right: Operand): void {
    const { code, swapped } = binaryCodes[op];
    if (swapped) this.#pushOperand(right);
    this.emitter.get(left);
    if (!swapped) this.#pushOperand(right);
    this.emitter.simd(code);
    this.emitter.set(target);
  }

  unary(op: UnaryOp, target: Vec, source: Vec): void {
    this.emitter.get(source);
    this.emitter.simd(unaryCodes[op]);
    this.emitter.set(target);
  }

  fma(sum: Vec, left: Vec, right: Operand): void {
    const e = this.emitter;
    if (this.has('fma')) {
      e.get(left);
      this.#pushOperand(right);
      e.get(sum);
      e.simd(SIMD.relaxedMultiplyAdd);
    } else {
      e.get(sum);
      e.get(left);
      this.#pushOperand(right);
      e.simd(SIMD.multiply);
      e.simd(SIMD.add);
    }
    e.set(sum);
  }

  select(c: Comparison, target: Vec, left: Vec, right: Vec, whenTrue: Vec, whenFalse: Vec): void {
    const e = this.emitter;
    for (const local of [whenTrue, whenFalse, left, right]) e.get(local);
    e.simd(comparisonCodes[c]);
    e.simd(SIMD.bitSelect);
    e.set(target);
  }

  /** The bits of n + 127 + 2²³, shifted left by 23, are those of 2ⁿ. */
  scaleByPowerOfTwo(target: Vec, source: Vec, exponent: Vec): void {
    const e = this.emitter;
    e.get(source);
    e.get(exponent);
    e.vectorConstant(f32Bits(2 ** 23 + 127));
    e.simd(SIMD.add);
    this.#shift(SIMD.shiftLeft32, 23);
    e.simd(SIMD.multiply);
    e.set(target);
  }

  reduceLanes(op: LaneReduction, target: Vec, source: Vec): void {
    const e = this.emitter;
    const step = (from: number, lanes: readonly [number, number, number, number]): void => {
      for (let i = 0; i < 3; i++) e.get(from);
      e.shuffle32(lanes);
      e.simd(binaryCodes[op].code);
      e.set(target);
    };
    step(source, [2, 3, 0, 1]);
    step(target, [1, 0, 3, 2]);
  }

  dotBf16(): void {
    throw new EngineError(`assembler: target ${this.target.name} has no dotBf16; ask has('bf16Dot')`, {
      target: this.target.name,
    });
  }
}
