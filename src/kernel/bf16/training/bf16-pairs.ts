/**
 * Numbers in f32 as matrix products of bf16 factors read them: blocks of 16 rows of 16 words, each a pair of numbers
 * that are neighbours along the sum (AMX's tiles; for vectors, a row is 16 factors of a pair each).
 *
 *     left     word [row][pair]: 16 rows of C, 32 products
 *     right    word [pair][column]: 32 products, 16 columns of C
 *
 * Stored rows run along the sum, or across it. Along it is the left block as it comes, across it the right one;
 * otherwise the words are transposed.
 */
import {
  at,
  type Int,
  type PairInstructions,
  type Vec,
  type VectorAssembler,
} from '../../../assembler/vector-assembler.ts';
import { EngineError } from '../../../errors.ts';

/** Rows of a block, and words in each. */
export const BLOCK = 16;
/** Products that a block holds of each sum. */
export const STEPS = 2 * BLOCK;
export const ROW_BYTES = 4 * BLOCK;
export const BLOCK_BYTES = BLOCK * ROW_BYTES;

export interface BlockSource {
  /** Of the stored rows. */
  readonly run: 'along' | 'across';
  /** From one stored row to the next. */
  readonly rowBytes: number;
  /** Words are transposed. */
  readonly turn: boolean;
}

/** How much of a block there is, the rest being zeros. */
export interface BlockPart {
  /** Products of each sum: 0 … 32. */
  readonly steps: number;
  /** Rows or columns of C: 0 … 16. */
  readonly others: number;
}

export function pairsOf(a: VectorAssembler): PairInstructions {
  if (a.pairs) return a.pairs;
  throw new EngineError(`bf16 products: target ${a.target.name} has no bf16 here`, { target: a.target.name });
}

/** One block. Bytes of a stored row's other half, and of other rows, are at constant offsets from `from`. */
export function emitBlock(
  a: VectorAssembler,
  source: BlockSource,
  part: BlockPart,
  from: Int,
  to: Int,
): void {
  const other = a.newVec();
  if (source.turn) {
    const rows = Array.from({ length: BLOCK }, () => a.newVec());
    for (const [i, row] of rows.entries()) emitWords(a, source, part, i, from, row, other);
    pairsOf(a).transpose(rows);
    for (const [i, row] of rows.entries()) a.store(at(to, i * ROW_BYTES), row);
    a.freeVec(...rows);
  } else {
    const row = a.newVec();
    for (let i = 0; i < BLOCK; i++) {
      emitWords(a, source, part, i, from, row, other);
      a.store(at(to, i * ROW_BYTES), row);
    }
    a.freeVec(row);
  }
  a.freeVec(other);
}

function emitWords(
  a: VectorAssembler,
  { run, rowBytes }: BlockSource,
  { steps, others }: BlockPart,
  i: number,
  from: Int,
  row: Vec,
  other: Vec,
): void {
  const read = (vec: Vec, offset: number, count: number): void => {
    if (count > 0) a.load(vec, at(from, offset), Math.min(count, BLOCK));
    else a.zero(vec);
  };
  if (run === 'along') {
    const inside = i < others ? steps : 0;
    read(row, i * rowBytes, inside);
    read(other, i * rowBytes + ROW_BYTES, inside - BLOCK);
    pairsOf(a).join(row, row, other);
  } else {
    read(row, 2 * i * rowBytes, 2 * i < steps ? others : 0);
    read(other, (2 * i + 1) * rowBytes, 2 * i + 1 < steps ? others : 0);
    pairsOf(a).interleave(row, row, other);
  }
}

/** Bytes from a block of some steps to that of the next ones, in stored numbers. */
export function stepBytes({ run, rowBytes }: BlockSource): number {
  return run === 'along' ? STEPS * 4 : STEPS * rowBytes;
}

/** Bytes from a block of some rows or columns of C to that of the next ones. */
export function otherBytes({ run, rowBytes }: BlockSource): number {
  return run === 'along' ? BLOCK * rowBytes : ROW_BYTES;
}

export function sourceName({ run, rowBytes, turn }: BlockSource): string {
  return `${run}${rowBytes}${turn ? 't' : ''}`;
}

/** Parts of `total` in runs of `size`, the last one shorter. */
export interface Runs {
  readonly whole: number;
  readonly rest: number;
}

export function runsOf(total: number, size: number): Runs {
  return { whole: Math.floor(total / size), rest: total % size };
}
