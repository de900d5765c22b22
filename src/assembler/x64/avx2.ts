/** AVX2 with FMA: 8 lanes, 16 registers. Broadcast operands and comparisons borrow a scratch register. */
import type { Address, Comparison, LaneReduction, Operand, UnaryOp, Vec } from '../vector-assembler.ts';
import { type Memory, pool } from './operand.ts';
import { VECTOR } from './vector-encoder.ts';
import { binaryRows, comparisonCodes, X64Assembler, type X64Context } from './x64-assembler.ts';
import { memoryAt } from './x64-integers.ts';

const vectorOrder = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const LANES = 8;

/** The parts of 1 … 7 elements that one move each can take: where they start and how many they are. */
function pieces(count: number): readonly { readonly start: number; readonly length: 1 | 2 | 4 }[] {
  const parts: { start: number; length: 1 | 2 | 4 }[] = [];
  let start = 0;
  for (const length of [4, 2, 1] as const) {
    if ((count & length) === 0) continue;
    parts.push({ start, length });
    start += length;
  }
  return parts;
}

export class Avx2Assembler extends X64Assembler {
  override readonly pairs = undefined;

  constructor(context: X64Context) {
    super(context, 32, vectorOrder);
  }

  protected override prepare(): void {}

  protected override withOperand(operand: Operand, use: (rm: number | Memory) => void): void {
    if (typeof operand === 'number') use(operand);
    else if (!operand.broadcast) use(memoryAt(operand));
    else {
      this.borrow((scratch) => {
        this.emit(VECTOR.vbroadcastss, scratch, 0, memoryAt(operand));
        use(scratch);
      });
    }
  }

  /** Constant words in all lanes: there is no broadcast from memory within an instruction. */
  #words(word: number): Memory {
    return pool(this.pool.words([word], LANES));
  }

  /** Lanes of all ones before `count`, zeros after it. */
  #laneMask(count: number): Memory {
    const words = [...Array<number>(LANES).fill(-1), ...Array<number>(LANES).fill(0)];
    return pool(this.pool.words(words) + (LANES - count) * 4);
  }

  override load(target: Vec, address: Address, count?: number): void {
    if (address.broadcast) {
      this.broadcast(target, address);
      return;
    }
    const from = memoryAt(address);
    const lanes = this.partial(count);
    if (lanes === undefined) this.emit(VECTOR.vmovups, target, 0, from);
    else if (lanes === 4) this.emit(VECTOR.vmovups, target, 0, from, {}, 16);
    else if (lanes === 2) this.emit(VECTOR.vmovsd, target, 0, from, {}, 16);
    else if (lanes === 1) this.emit(VECTOR.vmovss, target, 0, from, {}, 16);
    else {
      this.emit(VECTOR.vmovups, target, 0, this.#laneMask(lanes));
      this.emit(VECTOR.vmaskmovps, target, target, from);
    }
  }

  override store(address: Address, source: Vec, count?: number): void {
    const to = memoryAt(address);
    const lanes = this.partial(count);
    if (lanes === undefined) this.emit(VECTOR.vmovupsStore, source, 0, to);
    else if (lanes === 4) this.emit(VECTOR.vmovupsStore, source, 0, to, {}, 16);
    else if (lanes === 2) this.emit(VECTOR.vmovsdStore, source, 0, to, {}, 16);
    else if (lanes === 1) this.emit(VECTOR.vmovssStore, source, 0, to, {}, 16);
    else {
      this.borrow((mask) => {
        this.emit(VECTOR.vmovups, mask, 0, this.#laneMask(lanes));
        this.emit(VECTOR.vmaskmovpsStore, source, mask, to);
      });
    }
  }

  override loadBf16(target: Vec, address: Address, count?: number): void {
    const lanes = this.partial(count);
    if (lanes === undefined) this.emit(VECTOR.vpmovzxwd, target, 0, memoryAt(address));
    else {
      this.#gatherWords(target, address, lanes);
      this.emit(VECTOR.vpmovzxwd, target, 0, target);
    }
    this.shiftLeft(target, target, 16);
  }

  /** The first `count` 16-bit words of memory at the bottom of a register, the rest 0. */
  #gatherWords(target: Vec, address: Address, count: number): void {
    for (const { start, length } of pieces(count)) {
      const from = memoryAt(address, start * 2);
      const immediate = { immediate: start / length };
      if (length === 4) this.emit(VECTOR.vmovq, target, 0, from, {}, 16);
      else if (length === 2 && start === 0) this.emit(VECTOR.vmovd, target, 0, from, {}, 16);
      else if (length === 2) this.emit(VECTOR.vpinsrd, target, target, from, immediate, 16);
      else {
        if (start === 0) this.zero(target);
        this.emit(VECTOR.vpinsrw, target, target, from, immediate, 16);
      }
    }
  }

  override storeBf16(address: Address, source: Vec, count?: number): void {
    const lanes = this.partial(count);
    this.borrow((low) => {
      this.#roundToBf16(low, source);
      if (lanes === undefined) {
        this.emit(VECTOR.vmovdquStore, low, 0, memoryAt(address), {}, 16);
        return;
      }
      for (const { start, length } of pieces(lanes)) {
        const to = memoryAt(address, start * 2);
        const immediate = { immediate: start / length };
        if (length === 4) this.emit(VECTOR.vmovqStore, low, 0, to, {}, 16);
        else if (length === 2) this.emit(VECTOR.vpextrd, low, 0, to, immediate, 16);
        else this.emit(VECTOR.vpextrw, low, 0, to, immediate, 16);
      }
    });
  }

  /** Eight bf16 words at the bottom of a register: x + 0x7fff + lowest kept bit, halved; NaN to 0x7fc0. */
  #roundToBf16(low: number, source: Vec): void {
    this.shiftRight(low, source, 16);
    this.emit(VECTOR.vpand, low, low, this.#words(1));
    this.emit(VECTOR.vpaddd, low, low, source);
    this.emit(VECTOR.vpaddd, low, low, this.#words(0x7fff));
    this.shiftRight(low, low, 16);
    this.borrow((unordered) => {
      this.emit(VECTOR.vcmpps, unordered, source, source, { immediate: 3 });
      this.emit(VECTOR.vblendvps, low, low, this.#words(0x7fc0), { immediate: unordered << 4 });
    });
    this.emit(VECTOR.vpackusdw, low, low, low);
    this.emit(VECTOR.vpermq, low, 0, low, { immediate: 0x08 });
  }

  override unary(op: UnaryOp, target: Vec, source: Vec): void {
    if (op === 'squareRoot') this.emit(VECTOR.vsqrtps, target, 0, source);
    else if (op === 'round') this.emit(VECTOR.vroundps, target, 0, source, { immediate: 8 });
    else if (op === 'absolute') this.emit(VECTOR.vandps, target, source, this.#words(0x7fffffff));
    else this.emit(VECTOR.vxorps, target, source, this.#words(0x80000000));
  }

  override select(c: Comparison, target: Vec, left: Vec, right: Vec, whenTrue: Vec, whenFalse: Vec): void {
    this.borrow((mask) => {
      this.emit(VECTOR.vcmpps, mask, left, right, { immediate: comparisonCodes[c] });
      this.emit(VECTOR.vblendvps, target, whenFalse, whenTrue, { immediate: mask << 4 });
    });
  }

  /** The bits of n + 127 + 2²³, shifted left by 23, are those of 2ⁿ. */
  override scaleByPowerOfTwo(target: Vec, source: Vec, exponent: Vec): void {
    this.borrow((power) => {
      this.emit(VECTOR.vaddps, power, exponent, pool(this.pool.f32(2 ** 23 + 127, LANES)));
      this.shiftLeft(power, power, 23);
      this.emit(VECTOR.vmulps, target, source, power);
    });
  }

  override reduceLanes(op: LaneReduction, target: Vec, source: Vec): void {
    const row = binaryRows[op];
    this.borrow((scratch) => {
      this.emit(VECTOR.vperm2f128, scratch, source, source, { immediate: 1 });
      this.emit(row, target, source, scratch);
      for (const immediate of [0x4e, 0xb1]) {
        this.emit(VECTOR.vpermilps, scratch, 0, target, { immediate });
        this.emit(row, target, target, scratch);
      }
    });
  }
}
