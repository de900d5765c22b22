/**
 * AVX-512 (F, BW, DQ, VL): 16 lanes, 32 registers. Partial access uses mask registers; those for the first few
 * lane counts are set once, before the body. k1 is free for use within one instruction.
 */
import { EngineError } from '../../errors.ts';
import type {
  Address,
  Comparison,
  LaneReduction,
  Operand,
  PairInstructions,
  UnaryOp,
  Vec,
} from '../vector-assembler.ts';
import type { Encoder } from './encoder.ts';
import { type Memory, pool } from './operand.ts';
import { VECTOR, type VectorInstruction, vector } from './vector-encoder.ts';
import { binaryRows, comparisonCodes, X64Assembler, type X64Context } from './x64-assembler.ts';
import { memoryAt } from './x64-integers.ts';

const SCRATCH_MASK = 1;
const keptMasks = [2, 3, 4, 5, 6, 7] as const;

interface Shuffle {
  readonly row: VectorInstruction;
  readonly immediate?: number;
}
interface Halves {
  readonly low: Shuffle;
  readonly high: Shuffle;
}
/** How four vectors are transposed: first in two pairs, then what came of them; and which columns that gives in turn. */
interface FourVectors {
  readonly first: Halves;
  readonly second: Halves;
  readonly columns: readonly [number, number, number, number];
}

const words: FourVectors = {
  first: { low: { row: VECTOR.vunpcklps }, high: { row: VECTOR.vunpckhps } },
  second: { low: { row: VECTOR.vunpcklpd }, high: { row: VECTOR.vunpckhpd } },
  columns: [0, 1, 2, 3],
};
const evenOdd: Halves = {
  low: { row: VECTOR.vshuff32x4, immediate: 0x88 },
  high: { row: VECTOR.vshuff32x4, immediate: 0xdd },
};
const blocks: FourVectors = { first: evenOdd, second: evenOdd, columns: [0, 2, 1, 3] };

/** Registers that no convention preserves come first. */
const vectorOrder = [
  0, 1, 2, 3, 4, 5, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 6, 7, 8, 9, 10, 11, 12,
  13, 14, 15,
];

/** Word 2i of a vector from word i of its lower half, word 2i + 1 from word i of its upper half. */
const interleaved = Array.from({ length: 16 }, (_, i) => ((16 + i) << 16) | i);

export class Avx512Assembler extends X64Assembler {
  readonly #masks = new Map<number, number>();
  override readonly pairs: PairInstructions | undefined;

  constructor(context: X64Context) {
    super(context, 64, vectorOrder);
    this.pairs = this.has('bf16Dot') ? this.#pairs() : undefined;
  }

  #pairs(): PairInstructions {
    const join = (target: Vec, low: Vec, high: Vec): void =>
      this.emit(VECTOR.vcvtne2ps2bf16, target, high, low);
    return {
      join,
      interleave: (target, even, odd) =>
        this.borrow((order) => {
          join(target, even, odd);
          this.emit(VECTOR.vmovups, order, 0, pool(this.pool.words(interleaved)));
          this.emit(VECTOR.vpermw, target, order, target);
        }),
      transpose: (vectors) => this.#transpose(vectors),
    };
  }

  /** Words within 4 × 4 blocks, then the blocks. */
  #transpose(vectors: readonly Vec[]): void {
    const rowOf = (i: number): Vec => {
      const vector = vectors[i];
      if (vector !== undefined && vectors.length === 16) return vector;
      throw new EngineError(`assembler: expected 16 vectors to transpose, found ${vectors.length}`, {
        vectors: vectors.length,
      });
    };
    const fourOf = (first: number, step: number, turn: FourVectors): void => {
      const rows = [0, 1, 2, 3].map((i) => rowOf(first + i * step));
      this.borrow((t0) =>
        this.borrow((t1) =>
          this.borrow((t2) => this.borrow((t3) => this.#four(rows, [t0, t1, t2, t3], turn))),
        ),
      );
    };
    for (let i = 0; i < 16; i += 4) fourOf(i, 1, words);
    for (let i = 0; i < 4; i++) fourOf(i, 4, blocks);
  }

  #four(rows: readonly number[], between: readonly number[], { first, second, columns }: FourVectors): void {
    const [a = 0, b = 0, c = 0, d = 0] = rows;
    const [e = 0, f = 0, g = 0, h = 0] = columns.map((column) => rows[column]);
    const [ab = 0, abHigh = 0, cd = 0, cdHigh = 0] = between;
    const pair = ({ row, immediate }: Shuffle, target: number, left: number, right: number): void =>
      this.emit(row, target, left, right, immediate === undefined ? {} : { immediate });
    pair(first.low, ab, a, b);
    pair(first.high, abHigh, a, b);
    pair(first.low, cd, c, d);
    pair(first.high, cdHigh, c, d);
    pair(second.low, e, ab, cd);
    pair(second.high, f, ab, cd);
    pair(second.low, g, abHigh, cdHigh);
    pair(second.high, h, abHigh, cdHigh);
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
