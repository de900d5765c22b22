/** What multiplies rounded rows by packed panels: AMX tiles, or dot products of vectors. */
import {
  type Address,
  at,
  broadcastAt,
  type Int,
  type TileInstructions,
  type Tile as TileRegister,
  type TileShape,
  type Vec,
  type VectorAssembler,
  type VectorTarget,
} from '../../../assembler/vector-assembler.ts';
import { EngineError } from '../../../errors.ts';
import { BLOCK, BLOCK_BYTES, ROW_BYTES } from './bf16-pairs.ts';

/** A block of rows and a panel of one or two columns of blocks. */
export interface RowsBlock {
  readonly rows: number;
  /** Steps of 32 products. */
  readonly chunks: number;
  readonly across: number;
  /** Rounded rows [chunks][rows][32]; SUM_BYTES for sums lie `sumsAt` bytes further on. */
  readonly rounded: Int;
  readonly sumsAt: number;
  readonly panel: Int;
  /** Emitted once a step. */
  readonly meanwhile: () => void;
}

/** Where the sums of a row and a column are; vectors are the taker's. */
export type RowsSums = (row: number, column: number) => Vec | Address;

export interface RowsUnit {
  readonly name: string;
  readonly mostRows: number;
  /** Code before all others. */
  readonly open: (
    a: VectorAssembler,
    rows: number,
  ) => { readonly multiply: (block: RowsBlock) => RowsSums; readonly close: () => void };
}

export const SUM_BYTES = 4 * BLOCK_BYTES;

/** Tiles 0 … 3 are sums [row][column], 4 and 5 rows of A, 6 and 7 columns of B. */
const sumTile = (row: number, column: number): TileRegister => (2 * row + column) as TileRegister;
const leftTile = (row: number): TileRegister => (4 + row) as TileRegister;
const rightTile = (column: number): TileRegister => (6 + column) as TileRegister;

/** One or two tiles of about equal height. */
function heightsOf(rows: number): readonly number[] {
  return rows <= BLOCK ? [rows] : [Math.ceil(rows / 2), Math.floor(rows / 2)];
}

function shapesOf(rows: number): readonly TileShape[] {
  const [first = 1, second = 1] = heightsOf(rows);
  return [first, first, second, second, first, second, BLOCK, BLOCK].map((height) => ({
    rows: height,
    rowBytes: ROW_BYTES,
  }));
}

export function tilesOf(a: VectorAssembler): TileInstructions {
  if (a.tiles) return a.tiles;
  throw new EngineError(`bf16 products: target ${a.target.name} has no tile registers here`, {
    target: a.target.name,
  });
}

interface Strides {
  readonly line: Int;
  readonly none: Int;
}

const tileRows: RowsUnit = {
  name: 'tiles',
  mostRows: 2 * BLOCK,
  open: (a, rows) => {
    const tiles = tilesOf(a);
    const strides: Strides = { line: a.int(ROW_BYTES), none: a.int(0) };
    tiles.configure(shapesOf(rows));
    return {
      multiply: (block) => multiplyTiles(a, strides, block),
      close: () => {
        tiles.release();
        a.freeInt(strides.line, strides.none);
      },
    };
  },
};

/** Sums start at the biases and go through memory. */
function multiplyTiles(a: VectorAssembler, { line, none }: Strides, block: RowsBlock): RowsSums {
  const { rows, chunks, across, rounded, sumsAt, panel, meanwhile } = block;
  const tiles = tilesOf(a);
  const heights = heightsOf(rows);
  const [first = rows] = heights;
  const columns = Array.from({ length: across }, (_, i) => i);
  for (const r of heights.keys())
    for (const c of columns) tiles.load(sumTile(r, c), panel, none, c * ROW_BYTES);
  const [left, right] = [a.newInt(), a.newInt()];
  a.moveInt(left, rounded);
  a.moveInt(right, panel);
  a.loop(chunks, () => {
    for (const r of heights.keys()) {
      tiles.load(leftTile(r), left, line, r * first * ROW_BYTES);
      for (const c of columns) {
        if (r === 0) tiles.load(rightTile(c), right, line, across * ROW_BYTES + c * BLOCK_BYTES);
        tiles.dotBf16(sumTile(r, c), leftTile(r), rightTile(c));
      }
    }
    meanwhile();
    a.addInt(left, rows * ROW_BYTES);
    a.addInt(right, across * BLOCK_BYTES);
  });
  a.freeInt(left, right);
  for (const r of heights.keys())
    for (const c of columns) tiles.store(sumTile(r, c), rounded, line, sumsAt + sumTile(r, c) * BLOCK_BYTES);
  return (row, column) => {
    const r = row < first ? 0 : 1;
    return at(rounded, sumsAt + sumTile(r, column) * BLOCK_BYTES + (row - r * first) * ROW_BYTES);
  };
}

/** Two columns of sums for each row stay in registers; a pair of A is given to all lanes. */
const dotRows: RowsUnit = {
  name: 'dot',
  mostRows: 10,
  open: (a) => ({ multiply: (block) => multiplyDots(a, block), close: () => undefined }),
};

function multiplyDots(a: VectorAssembler, block: RowsBlock): RowsSums {
  const { rows, chunks, across, rounded, panel, meanwhile } = block;
  const columns = Array.from({ length: across }, (_, i) => i);
  const sums = Array.from({ length: rows }, () => columns.map(() => a.newVec()));
  for (const row of sums) for (const [c, sum] of row.entries()) a.load(sum, at(panel, c * ROW_BYTES));
  const factors = columns.map(() => a.newVec());
  const x = a.newVec();
  const [left, right] = [a.newInt(), a.newInt()];
  a.moveInt(left, rounded);
  a.moveInt(right, panel);
  a.loop(chunks, () => {
    for (let pair = 0; pair < BLOCK; pair++) {
      for (const [c, factor] of factors.entries())
        a.load(factor, at(right, across * ROW_BYTES + c * BLOCK_BYTES + pair * ROW_BYTES));
      for (const [row, own] of sums.entries()) {
        a.load(x, broadcastAt(left, row * ROW_BYTES + pair * 4));
        for (const [c, sum] of own.entries()) a.dotBf16(sum, x, factors[c] ?? x);
      }
    }
    meanwhile();
    a.addInt(left, rows * ROW_BYTES);
    a.addInt(right, across * BLOCK_BYTES);
  });
  a.freeInt(left, right);
  a.freeVec(x, ...factors);
  return (row, column) => sums[row]?.[column] ?? x;
}

export function rowsUnit(target: VectorTarget): RowsUnit {
  return target.features.has('tiles') ? tileRows : dotRows;
}
