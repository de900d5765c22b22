/**
 * Rows of C = A·B of bf16 factors with f32 sums, on AMX: a block of rows of A is rounded to bf16 and stays in the
 * first cache while all panels of B (bf16-panels.ts) go by; the next block is fetched meanwhile. So A is read once,
 * and C is written once.
 *
 *     scratch   rounded rows [k/32][rows][32] bf16; then 2 × 2 tiles of sums
 */
import {
  at,
  atIndex,
  type Int,
  type TileInstructions,
  type Tile as TileRegister,
  type TileShape,
  type Vec,
  type VectorAssembler,
} from '../assembler/vector-assembler.ts';
import { EngineError } from '../errors.ts';
import type { ActivationName } from '../graph/activations.ts';
import { emitActivation } from './activation.ts';
import { emitActivationGrad } from './activation-grad.ts';
import { BLOCK, BLOCK_BYTES, pairsOf, ROW_BYTES, runsOf, STEPS } from './bf16-pairs.ts';
import { blocksAcross, PANEL_COLUMNS } from './bf16-panels.ts';
import { countBySlot } from './emit.ts';
import type { KernelSpec, Slot } from './plan.ts';

/** Rows of a block: two tiles. */
export const MOST_ROWS = 2 * BLOCK;
const SUM_BYTES = 4 * BLOCK_BYTES;
const LINE_BYTES = 64;

export interface RowsSpec {
  /** Rows of a block, 1 … 32. */
  readonly rows: number;
  readonly n: number;
  readonly k: number;
  /** Bytes from one row to the next. */
  readonly aRow: number;
  readonly cRow: number;
  /** Something of C's layout is added before the activation. */
  readonly residual: boolean;
  readonly activation: ActivationName | null;
  /** The function whose derivative, of something of C's layout, comes last. */
  readonly derivative: ActivationName | null;
  /** C is written past the caches: whole lines of it. */
  readonly past: boolean;
}

const SLOT = { a: 1, panels: 2, c: 3, residual: 4, derivative: 5, scratch: 6, blocks: 7 } as const;

export interface RowsRecord {
  readonly a: Slot;
  readonly panels: Slot;
  readonly c: Slot;
  readonly residual: Slot;
  readonly derivative: Slot;
  readonly scratch: Slot;
  /** Blocks of rows that follow each other. */
  readonly blocks: number;
}

export function rowsSlots(record: RowsRecord): readonly Slot[] {
  const { a, panels, c, residual, derivative, scratch, blocks } = record;
  return [a, panels, c, residual, derivative, scratch, blocks];
}

const chunksOf = (k: number): number => Math.ceil(k / STEPS);

function roundedBytes({ rows, k }: RowsSpec): number {
  return chunksOf(k) * rows * ROW_BYTES;
}

export function rowsScratchBytes(spec: RowsSpec): number {
  return roundedBytes(spec) + SUM_BYTES;
}

export function rowsKernel(spec: RowsSpec): KernelSpec {
  const { rows, n, k, aRow, cRow, residual, activation, derivative, past } = spec;
  const epilogue = `${residual ? '_residual' : ''}${activation ? `_${activation}` : ''}${derivative ? `_d${derivative}` : ''}${past ? '_past' : ''}`;
  return {
    name: `bf16_rows${epilogue}_${rows}x${n}x${k}_s${aRow},${cRow}`,
    generate: (a) => emitRows(a, spec),
  };
}

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

interface Context {
  readonly a: VectorAssembler;
  readonly tiles: TileInstructions;
  readonly spec: RowsSpec;
  readonly panels: Int;
  readonly c: Int;
  /** Bytes from a number of C to its residual, and to what the derivative is taken of. */
  readonly residual: Int | undefined;
  readonly derivative: Int | undefined;
  readonly scratch: Int;
  /** The next block's rows that are to be fetched. */
  readonly ahead: Int;
  readonly line: Int;
  readonly none: Int;
}

export function tilesOf(a: VectorAssembler): TileInstructions {
  if (a.tiles) return a.tiles;
  throw new EngineError(`bf16 products: target ${a.target.name} has no tile registers here`, {
    target: a.target.name,
  });
}

function emitRows(a: VectorAssembler, spec: RowsSpec): void {
  const { rows, n, cRow } = spec;
  const tiles = tilesOf(a);
  const [from, panels, c, scratch] = [a.slot(SLOT.a), a.newInt(), a.slot(SLOT.c), a.slot(SLOT.scratch)];
  const residual = spec.residual ? a.slot(SLOT.residual) : undefined;
  const derivative = spec.derivative ? a.slot(SLOT.derivative) : undefined;
  const beside = [residual, derivative].filter((each) => each !== undefined);
  for (const each of beside) a.subtractInt(each, c);
  const [ahead, line, none] = [a.newInt(), a.int(ROW_BYTES), a.int(0)];
  const context: Context = { a, tiles, spec, panels, c, residual, derivative, scratch, ahead, line, none };
  tiles.configure(shapesOf(rows));
  const { whole, rest } = runsOf(n, PANEL_COLUMNS);
  countBySlot(a, SLOT.blocks, () => {
    emitRounding(a, spec, from, scratch);
    a.moveInt(ahead, from);
    a.loadPointer(panels, at(a.record, 8 * SLOT.panels));
    a.loop(whole, () => emitPanel(context, PANEL_COLUMNS));
    if (rest > 0) emitPanel(context, rest);
    a.addInt(c, rows * cRow - (whole + (rest > 0 ? 1 : 0)) * PANEL_COLUMNS * 4);
  });
  tiles.release();
  a.freeInt(from, panels, c, scratch, ahead, line, none, ...beside);
}

/** `from` moves on, `scratch` ends where it began. */
function emitRounding(a: VectorAssembler, spec: RowsSpec, from: Int, scratch: Int): void {
  const { rows, k, aRow } = spec;
  const [low, high] = [a.newVec(), a.newVec()];
  const read = (vec: Vec, first: number): void => {
    if (first < k) a.load(vec, at(from, first * 4), Math.min(BLOCK, k - first));
    else a.zero(vec);
  };
  a.loop(rows, () => {
    for (let chunk = 0; chunk < chunksOf(k); chunk++) {
      read(low, chunk * STEPS);
      read(high, chunk * STEPS + BLOCK);
      pairsOf(a).join(low, low, high);
      a.store(at(scratch, chunk * rows * ROW_BYTES), low);
    }
    a.addInt(from, aRow);
    a.addInt(scratch, ROW_BYTES);
  });
  a.subtractInt(scratch, rows * ROW_BYTES);
  a.freeVec(low, high);
}

/** `panels` and `c` move on to the next panel. */
function emitPanel(context: Context, columns: number): void {
  const { a, spec, panels, c } = context;
  const across = blocksAcross(columns);
  emitSums(context, across);
  let row = 0;
  for (const [r, height] of heightsOf(spec.rows).entries())
    for (let i = 0; i < height; i++) emitRow(context, columns, row++, r, i);
  a.addInt(c, PANEL_COLUMNS * 4);
  a.addInt(panels, across * (ROW_BYTES + chunksOf(spec.k) * BLOCK_BYTES));
}

/** Sums of the block reach scratch memory. */
function emitSums(context: Context, across: number): void {
  const { a, tiles, spec, panels, scratch, line, none } = context;
  const heights = heightsOf(spec.rows);
  const columns = Array.from({ length: across }, (_, i) => i);
  for (const r of heights.keys())
    for (const c of columns) tiles.load(sumTile(r, c), panels, none, c * ROW_BYTES);
  const [left, right] = [a.newInt(), a.newInt()];
  a.moveInt(left, scratch);
  a.moveInt(right, panels);
  a.loop(chunksOf(spec.k), () => {
    for (const r of heights.keys()) {
      tiles.load(leftTile(r), left, line, r * (heights[0] ?? 0) * ROW_BYTES);
      for (const c of columns) {
        if (r === 0) tiles.load(rightTile(c), right, line, across * ROW_BYTES + c * BLOCK_BYTES);
        tiles.dotBf16(sumTile(r, c), leftTile(r), rightTile(c));
      }
    }
    emitFetch(context);
    a.addInt(left, spec.rows * ROW_BYTES);
    a.addInt(right, across * BLOCK_BYTES);
  });
  a.freeInt(left, right);
  for (const r of heights.keys())
    for (const c of columns)
      tiles.store(sumTile(r, c), scratch, line, roundedBytes(spec) + sumTile(r, c) * BLOCK_BYTES);
}

/** As many lines of the next block as it has for each step of this one. */
function emitFetch({ a, spec, ahead }: Context): void {
  const { rows, n, k, aRow } = spec;
  if (aRow !== k * 4) return;
  const steps = Math.ceil(n / PANEL_COLUMNS) * chunksOf(k);
  const lines = Math.ceil((rows * aRow) / LINE_BYTES / steps);
  for (let i = 0; i < lines; i++) a.prefetch(at(ahead, i * LINE_BYTES));
  a.addInt(ahead, lines * LINE_BYTES);
}

/** Row i of tile row r → activation(sums + residual) in row `row` of C's block. */
function emitRow(
  { a, spec, c, residual, derivative, scratch }: Context,
  columns: number,
  row: number,
  r: number,
  i: number,
): void {
  const { cRow, activation, past } = spec;
  const [value, more] = [a.newVec(), a.newVec()];
  for (let column = 0; column * BLOCK < columns; column++) {
    const count = Math.min(BLOCK, columns - column * BLOCK);
    const offset = row * cRow + column * ROW_BYTES;
    const sum = roundedBytes(spec) + sumTile(r, column) * BLOCK_BYTES + i * ROW_BYTES;
    a.load(value, at(scratch, sum));
    if (residual !== undefined) {
      a.load(more, atIndex(c, residual, 1, offset), count);
      a.binary('add', value, value, more);
    }
    if (activation !== null) emitActivation(a, activation, value);
    if (derivative !== undefined && spec.derivative !== null) {
      a.load(more, atIndex(c, derivative, 1, offset), count);
      emitActivationGrad(a, spec.derivative, value, more);
    }
    if (past) a.storePast(at(c, offset), value);
    else a.store(at(c, offset), value, count);
  }
  a.freeVec(value, more);
}
