/** What multiplies packed chunks into C: AMX tiles, or dot products of vectors. */
import {
  at,
  broadcastAt,
  type Int,
  type VectorAssembler,
  type VectorTarget,
} from '../../../assembler/vector-assembler.ts';
import { BLOCK, BLOCK_BYTES, ROW_BYTES } from './bf16-pairs.ts';
import { tilesOf } from './bf16-rows-units.ts';

/** 32 × 32 numbers of C, and two blocks of each factor for every 32 products; pointers end where they began. */
export interface SumsPair {
  readonly chunks: number;
  readonly left: Int;
  readonly right: Int;
  readonly c: Int;
  /** 0 where C holds nothing yet. */
  readonly holds: Int;
  /** Emitted once in every turn of a unit that has turns to spare. */
  readonly meanwhile: () => void;
}

export interface SumsUnit {
  readonly name: string;
  /** Walks over the chunk's steps that a pair takes, each with something done meanwhile in every turn; 0 for none. */
  readonly walks: number;
  /** Code before all others. @param cRow bytes from one row of C to the next */
  readonly open: (
    a: VectorAssembler,
    cRow: number,
  ) => { readonly multiply: (pair: SumsPair) => void; readonly close: () => void };
}

const PAIR_BYTES = 2 * BLOCK_BYTES;

const tileSums: SumsUnit = {
  name: 'tiles',
  walks: 0,
  open: (a, cRow) => {
    const tiles = tilesOf(a);
    const strides = { line: a.int(ROW_BYTES), row: a.int(cRow) };
    tiles.configure(Array.from({ length: 8 }, () => ({ rows: BLOCK, rowBytes: ROW_BYTES })));
    return {
      multiply: (pair) => multiplyTiles(a, strides, cRow, pair),
      close: () => {
        tiles.release();
        a.freeInt(strides.line, strides.row);
      },
    };
  },
};

/** Four tiles of sums, two of the left factor, two of the right one. */
function multiplyTiles(
  a: VectorAssembler,
  { line, row }: { readonly line: Int; readonly row: Int },
  cRow: number,
  { chunks, left, right, c, holds }: SumsPair,
): void {
  const tiles = tilesOf(a);
  const sums = [0, 1, 2, 3] as const;
  const placeOf = (tile: number): number => (tile >> 1) * BLOCK * cRow + (tile & 1) * ROW_BYTES;
  a.ifNonZero(
    holds,
    () => {
      for (const tile of sums) tiles.load(tile, c, row, placeOf(tile));
    },
    () => {
      for (const tile of sums) tiles.zero(tile);
    },
  );
  a.loop(chunks, () => {
    tiles.load(4, left, line);
    tiles.load(6, right, line);
    tiles.dotBf16(0, 4, 6);
    tiles.load(7, right, line, BLOCK_BYTES);
    tiles.dotBf16(1, 4, 7);
    tiles.load(5, left, line, BLOCK_BYTES);
    tiles.dotBf16(2, 5, 6);
    tiles.dotBf16(3, 5, 7);
    a.addInt(left, PAIR_BYTES);
    a.addInt(right, PAIR_BYTES);
  });
  a.subtractInt(left, chunks * PAIR_BYTES);
  a.subtractInt(right, chunks * PAIR_BYTES);
  for (const tile of sums) tiles.store(tile, c, row, placeOf(tile));
}

/** Rows whose sums, two columns of each, stay in registers. */
const ROWS = 8;

const dotSums: SumsUnit = {
  name: 'dot',
  walks: (2 * BLOCK) / ROWS,
  open: (a, cRow) => ({ multiply: (pair) => multiplyDots(a, cRow, pair), close: () => undefined }),
};

function multiplyDots(a: VectorAssembler, cRow: number, pair: SumsPair): void {
  const { chunks, left, right, c, holds, meanwhile } = pair;
  const columns = [0, 1] as const;
  const sums = Array.from({ length: ROWS }, () => columns.map(() => a.newVec()));
  const each = (first: number, use: (sum: (typeof sums)[number][number], offset: number) => void): void => {
    for (const [i, row] of sums.entries())
      for (const [column, sum] of row.entries()) use(sum, (first + i) * cRow + column * ROW_BYTES);
  };
  const factors = columns.map(() => a.newVec());
  const x = a.newVec();
  for (let first = 0; first < 2 * BLOCK; first += ROWS) {
    a.ifNonZero(
      holds,
      () => each(first, (sum, offset) => a.load(sum, at(c, offset))),
      () => each(first, (sum) => a.zero(sum)),
    );
    const own = Math.floor(first / BLOCK) * BLOCK_BYTES + (first % BLOCK) * ROW_BYTES;
    a.loop(chunks, () => {
      for (let two = 0; two < BLOCK; two++) {
        for (const [column, factor] of factors.entries())
          a.load(factor, at(right, column * BLOCK_BYTES + two * ROW_BYTES));
        for (const [i, row] of sums.entries()) {
          a.load(x, broadcastAt(left, own + i * ROW_BYTES + two * 4));
          for (const [column, sum] of row.entries()) a.dotBf16(sum, x, factors[column] ?? x);
        }
      }
      meanwhile();
      a.addInt(left, PAIR_BYTES);
      a.addInt(right, PAIR_BYTES);
    });
    a.subtractInt(left, chunks * PAIR_BYTES);
    a.subtractInt(right, chunks * PAIR_BYTES);
    each(first, (sum, offset) => a.store(at(c, offset), sum));
  }
  a.freeVec(x, ...factors, ...sums.flat());
}

export function sumsUnit(target: VectorTarget): SumsUnit {
  return target.features.has('tiles') ? tileSums : dotSums;
}
