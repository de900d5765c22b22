/**
 * AVX-512 (F, BW, DQ, VL): 16 lanes, 32 registers. Partial access uses mask registers; those for the first few
 * lane counts are set once, before the body. k1 is free for use within one instruction.
 */
import type { Address, Comparison, LaneReduction, Operand, UnaryOp, Vec } from '../vector-assembler.ts';
import { type Encoder, type Memory, pool } from './encoder.ts';
import { VECTOR, vector } from './vector-encoder.ts';
import { binaryRows, comparisonCodes, memoryAt, X64Assembler, type X64Context } from './x64-assembler.ts';

const SCRATCH_MASK = 1;
const keptMasks = [2, 3, 4, 5, 6, 7] as const;

/** Registers that no convention preserves come first. */
const vectorOrder = [
  0, 1, 2, 3, 4, 5, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 6, 7, 8, 9, 10, 11, 12,
  13, 14, 15,
];

export class Avx512Assembler extends X64Assembler {
  readonly #masks = new Map<number, number>();

  constructor(context: X64Context) {
    super(context, 64, vectorOrder);
  }

  protected override prepare(encoder: Encoder): void {
    for (const [count, mask] of this.#masks) this.#loadMask(encoder, mask, count);
  }

  #loadMask(encoder: Encoder, mask: number, count: number): void {
    vector(encoder, VECTOR.kmovw, 16, mask, 0, pool(this.pool.words([2 ** count - 1])));
  }

  /** A mask register with the first `count` lanes; 0, which means no mask, for all. */
  #mask(count: number | undefined): number {
    const lanes = this.partial(count);
    if (lanes === undefined) return 0;
    const known = this.#masks.get(lanes);
    if (known !== undefined) return known;
    const fresh = keptMasks[this.#masks.size];
    if (fresh === undefined) {
      this.#loadMask(this.encoder, SCRATCH_MASK, lanes);
      return SCRATCH_MASK;
    }
    this.#masks.set(lanes, fresh);
    return fresh;
  }

  protected override withOperand(operand: Operand, use: (rm: number | Memory) => void): void {
    use(typeof operand === 'number' ? operand : { ...memoryAt(operand), broadcast: operand.broadcast });
  }

  override load(target: Vec, address: Address, count?: number): void {
    if (address.broadcast) this.broadcast(target, address);
    else if (count === 1) this.emit(VECTOR.vmovss, target, 0, memoryAt(address), {}, 16);
    else this.emit(VECTOR.vmovups, target, 0, memoryAt(address), { mask: this.#mask(count), zeroing: true });
  }

  override store(address: Address, source: Vec, count?: number): void {
    if (count === 1) this.emit(VECTOR.vmovssStore, source, 0, memoryAt(address), {}, 16);
    else this.emit(VECTOR.vmovupsStore, source, 0, memoryAt(address), { mask: this.#mask(count) });
  }

  override loadBf16(target: Vec, address: Address, count?: number): void {
    const options = { mask: this.#mask(count), zeroing: true };
    this.emit(VECTOR.vpmovzxwd, target, 0, memoryAt(address), options);
    this.shiftLeft(target, target, 16);
  }

  override storeBf16(address: Address, source: Vec, count?: number): void {
    const to = memoryAt(address);
    this.borrow((low) => {
      if (this.has('bf16Convert')) {
        this.emit(VECTOR.vcvtneps2bf16, low, 0, source);
        this.emit(VECTOR.vmovdqu16Store, low, 0, to, { mask: this.#mask(count) }, 32);
        return;
      }
      const words = (word: number): Memory => pool(this.pool.words([word]), true);
      this.shiftRight(low, source, 16);
      this.emit(VECTOR.vpand, low, low, words(1));
      this.emit(VECTOR.vpaddd, low, low, source);
      this.emit(VECTOR.vpaddd, low, low, words(0x7fff));
      this.shiftRight(low, low, 16);
      const nan = { ...words(0x7fc0), broadcast: false };
      this.#compare(source, source, 3);
      this.emit(VECTOR.vbroadcastss, low, 0, nan, { mask: SCRATCH_MASK });
      this.emit(VECTOR.vpmovdwStore, low, 0, to, { mask: this.#mask(count) });
    });
  }

  override storeBf16Pair(address: Address, low: Vec, high: Vec): void {
    if (!this.has('bf16Convert')) {
      super.storeBf16Pair(address, low, high);
      return;
    }
    this.borrow((both) => {
      this.emit(VECTOR.vcvtne2ps2bf16, both, high, low);
      this.emit(VECTOR.vmovupsStore, both, 0, memoryAt(address));
    });
  }

  /** k1 = left compared with right. */
  #compare(left: number, right: number, code: number): void {
    this.emit(VECTOR.vcmpps, SCRATCH_MASK, left, right, { immediate: code });
  }

  override unary(op: UnaryOp, target: Vec, source: Vec): void {
    if (op === 'squareRoot') this.emit(VECTOR.vsqrtps, target, 0, source);
    else if (op === 'round') this.emit(VECTOR.vroundps, target, 0, source, { immediate: 8 });
    else {
      const [row, word] = op === 'absolute' ? [VECTOR.vpand, 0x7fffffff] : [VECTOR.vpxor, 0x80000000];
      this.emit(row, target, source, pool(this.pool.words([word]), true));
    }
  }

  override select(c: Comparison, target: Vec, left: Vec, right: Vec, whenTrue: Vec, whenFalse: Vec): void {
    this.#compare(left, right, comparisonCodes[c]);
    this.emit(VECTOR.vblendmps, target, whenFalse, whenTrue, { mask: SCRATCH_MASK });
  }

  override scaleByPowerOfTwo(target: Vec, source: Vec, exponent: Vec): void {
    this.emit(VECTOR.vscalefps, target, source, exponent);
  }

  override reduceLanes(op: LaneReduction, target: Vec, source: Vec): void {
    const row = binaryRows[op];
    this.borrow((scratch) => {
      this.emit(VECTOR.vshuff32x4, scratch, source, source, { immediate: 0x4e });
      this.emit(row, target, source, scratch);
      this.emit(VECTOR.vshuff32x4, scratch, target, target, { immediate: 0xb1 });
      this.emit(row, target, target, scratch);
      for (const immediate of [0x4e, 0xb1]) {
        this.emit(VECTOR.vpermilps, scratch, 0, target, { immediate });
        this.emit(row, target, target, scratch);
      }
    });
  }
}
