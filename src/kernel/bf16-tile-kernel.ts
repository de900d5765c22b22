/**
 * A matrix product on AMX tiles: bf16 rows as they lie in NHWC memory × packed bf16 weights, f32 sums.
 *
 *     weights   panel after panel of 1 or 2 columns of tiles: f32 bias [tiles][16], then for each chunk, term and
 *               tile [chunk/2][16][2] bf16: pairs of inputs, for 16 output channels
 *     scratch   f32 sums of one panel [tiles of rows × columns][16][16], on their way to the epilogue
 *
 * A block is up to 32 positions, in one or two tiles of rows. Blocks are outside and panels inside, so that a
 * block's input stays in the nearest cache. All chunks have one width, as tiles are configured once: where that
 * does not divide a run, the last chunk overlaps the one before and its weights are 0 there.
 */
import {
  at,
  atIndex,
  type Int,
  type Tile,
  type TileInstructions,
  type TileShape,
  type Vec,
  type VectorAssembler,
} from '../assembler/vector-assembler.ts';
import { EngineError } from '../errors.ts';
import type { ActivationName } from '../graph/activations.ts';
import { emitActivation } from './activation.ts';
import { countBySlot } from './emit.ts';
import type { KernelSpec, Slot } from './plan.ts';
import { channelBytes, loadAs, type PixelStorage, storageName, storePixel } from './storage.ts';

/** Rows and f32 columns of a tile, and its bytes. */
export const TILE_ROWS = 16;
export const TILE_COLUMNS = 16;
const ROW_BYTES = 64;
export const TILE_BYTES = TILE_ROWS * ROW_BYTES;
/** Scratch memory of one tile record. */
export const TILE_SCRATCH_BYTES = 4 * TILE_BYTES;

/** A stretch of every position's input, and how many blocks of weights it is multiplied with in turn. */
export interface TileChunk {
  readonly offset: number;
  readonly terms: number;
}

/** Everything the code depends on; sizes are in bytes unless said otherwise. */
export interface TileSpec {
  /** Positions in a block: 1 … 32. */
  readonly positions: number;
  readonly positionStride: number;
  readonly lineStride: number;
  readonly chunks: readonly TileChunk[];
  /** Numbers in a chunk, even, at most 32. */
  readonly chunk: number;
  readonly outputStride: number;
  readonly outputLineStride: number;
  /** Output channels in what remains after whole panels of 32: 0 … 31. */
  readonly restChannels: number;
  /** All output channels. */
  readonly channels: number;
  readonly output: PixelStorage;
  /** Stored as the output is, in one term. */
  readonly residual: boolean;
  readonly activation: ActivationName | null;
}

const SLOT = {
  input: 1,
  weights: 2,
  output: 3,
  residual: 4,
  scratch: 5,
  lines: 6,
  blocks: 7,
  panels: 8,
} as const;

export interface TileRecord {
  readonly input: Slot;
  readonly weights: Slot;
  readonly output: Slot;
  readonly residual: Slot;
  readonly scratch: Slot;
  readonly lines: number;
  /** Blocks in a line. */
  readonly blocks: number;
  /** Whole panels of 32 channels. */
  readonly panels: number;
}

export function tileSlots(record: TileRecord): readonly Slot[] {
  const { input, weights, output, residual, scratch, lines, blocks, panels } = record;
  return [input, weights, output, residual, scratch, lines, blocks, panels];
}

export function tileKernel(spec: TileSpec): KernelSpec {
  const strides = [spec.positionStride, spec.lineStride, spec.outputStride, spec.outputLineStride];
  const epilogue = `${spec.residual ? '_residual' : ''}${spec.activation ? `_${spec.activation}` : ''}`;
  const chunks = spec.chunks.map(({ offset, terms }) => `${offset}*${terms}`);
  return {
    name: `bf16_tiles${epilogue}_${storageName(spec.output)}_m${spec.positions}k${spec.chunk}@${chunks.join(',')}n${spec.channels}.${spec.restChannels}_s${strides.join(',')}`,
    generate: (a) => emitTiles(a, spec),
  };
}

/** Registers and tile instructions that the whole kernel shares. */
interface Context {
  readonly a: VectorAssembler;
  readonly tiles: TileInstructions;
  readonly spec: TileSpec;
  /** Rows of the one or two tiles of a block. */
  readonly rows: readonly number[];
  readonly input: Int;
  readonly weights: Int;
  readonly output: Int;
  /** Bytes from an output to its residual. */
  readonly residual: Int | undefined;
  readonly scratch: Int;
  readonly inputStride: Int;
  readonly lineBytes: Int;
  readonly noStride: Int;
  readonly zero: Vec;
}

/** Tiles 0 … 3 are sums [rows][columns], 4 and 5 rows of input, 6 and 7 columns of weights. */
const sumTile = (row: number, column: number): Tile => (2 * row + column) as Tile;
const inputTile = (row: number): Tile => (4 + row) as Tile;
const weightTile = (column: number): Tile => (6 + column) as Tile;

function tileShapes(rows: readonly number[], chunk: number): readonly TileShape[] {
  const [first = 1, second = 1] = rows;
  const sum = (height: number): TileShape => ({ rows: height, rowBytes: ROW_BYTES });
  const input = (height: number): TileShape => ({ rows: height, rowBytes: chunk * 2 });
  const weights = sum(chunk / 2);
  return [sum(first), sum(first), sum(second), sum(second), input(first), input(second), weights, weights];
}

/** A block's positions as rows of tiles: as few tiles as can be, of equal height. */
function blockRows(positions: number): readonly number[] {
  if (positions <= TILE_ROWS) return [positions];
  return [Math.ceil(positions / 2), Math.floor(positions / 2)];
}

function emitTiles(a: VectorAssembler, spec: TileSpec): void {
  const { tiles } = a;
  if (tiles === undefined)
    throw new EngineError(`bf16 tiles: target ${a.target.name} has no tile registers here`, {
      target: a.target.name,
    });
  const rows = blockRows(spec.positions);
  const line = { input: a.slot(SLOT.input), output: a.slot(SLOT.output) };
  const context: Context = {
    a,
    tiles,
    spec,
    rows,
    input: a.newInt(),
    weights: a.newInt(),
    output: a.newInt(),
    residual: spec.residual ? a.slot(SLOT.residual) : undefined,
    scratch: a.slot(SLOT.scratch),
    inputStride: a.int(spec.positionStride),
    lineBytes: a.int(ROW_BYTES),
    noStride: a.int(0),
    zero: a.newVec(),
  };
  const { input, output } = context;
  if (context.residual !== undefined) a.subtractInt(context.residual, line.output);
  a.zero(context.zero);
  tiles.configure(tileShapes(rows, spec.chunk));
  countBySlot(a, SLOT.lines, () => {
    a.moveInt(input, line.input);
    a.moveInt(output, line.output);
    countBySlot(a, SLOT.blocks, () => emitBlock(context));
    a.addInt(line.input, spec.lineStride);
    a.addInt(line.output, spec.outputLineStride);
  });
  tiles.release();
}

/** All panels of one block of positions; then on to the next block. */
function emitBlock(context: Context): void {
  const { a, spec, input, output, weights } = context;
  const panelOutput = 2 * TILE_COLUMNS * channelBytes(spec.output);
  const start = a.newInt();
  a.moveInt(start, output);
  a.loadPointer(weights, at(a.record, 8 * SLOT.weights));
  countBySlot(a, SLOT.panels, () => {
    emitPanel(context, [TILE_COLUMNS, TILE_COLUMNS]);
    a.addInt(output, panelOutput);
  });
  const rest = spec.restChannels;
  if (rest > 0) emitPanel(context, rest > TILE_COLUMNS ? [TILE_COLUMNS, rest - TILE_COLUMNS] : [rest]);
  a.moveInt(output, start);
  a.freeInt(start);
  a.addInt(input, spec.positions * spec.positionStride);
  a.addInt(output, spec.positions * spec.outputStride);
}

/** @param columns channels in each column of tiles */
function emitPanel(context: Context, columns: readonly number[]): void {
  const { a, tiles, spec, rows, input, weights, scratch } = context;
  for (const r of rows.keys())
    for (const c of columns.keys()) tiles.load(sumTile(r, c), weights, context.noStride, c * ROW_BYTES);
  const weightBytes = (spec.chunk / 2) * ROW_BYTES;
  const first = columns.length * ROW_BYTES;
  let block = first;
  for (const { offset, terms } of spec.chunks)
    for (let term = 0; term < terms; term++) {
      for (const r of rows.keys()) {
        const start = r * (rows[0] ?? 0) * spec.positionStride + offset;
        if (term === 0) tiles.load(inputTile(r), input, context.inputStride, start);
        for (const c of columns.keys()) {
          if (r === 0) tiles.load(weightTile(c), weights, context.lineBytes, block + c * weightBytes);
          tiles.dotBf16(sumTile(r, c), inputTile(r), weightTile(c));
        }
      }
      block += columns.length * weightBytes;
    }
  for (const r of rows.keys())
    for (const c of columns.keys())
      tiles.store(sumTile(r, c), scratch, context.lineBytes, sumTile(r, c) * TILE_BYTES);
  let position = 0;
  for (const [r, height] of rows.entries())
    for (let i = 0; i < height; i++)
      emitRow(context, columns, position++, r * 2 * TILE_BYTES + i * ROW_BYTES);
  a.addInt(weights, block);
}

/** Sums of one position → activation(sums + residual), from scratch memory to the output. */
function emitRow(context: Context, columns: readonly number[], position: number, from: number): void {
  const { a, spec, output, residual, scratch, zero } = context;
  const offset = position * spec.outputStride;
  const width = TILE_COLUMNS * channelBytes(spec.output);
  const values = columns.map((count, c) => {
    const value = a.newVec();
    const sum = at(scratch, from + c * TILE_BYTES);
    if (residual === undefined && spec.activation === 'relu') {
      a.binary('maximum', value, zero, sum);
      return value;
    }
    a.load(value, sum);
    if (residual !== undefined) {
      const x = a.newVec();
      loadAs(
        a,
        spec.output === 'f32' ? 'f32' : 'bf16',
        x,
        atIndex(output, residual, 1, offset + c * width),
        count,
      );
      a.binary('add', value, value, x);
      a.freeVec(x);
    }
    if (spec.activation !== null) emitActivation(a, spec.activation, value);
    return value;
  });
  const [low, high] = values;
  const pair = spec.output !== 'f32' && spec.output.terms === 1 && columns[1] === TILE_COLUMNS;
  if (pair && low !== undefined && high !== undefined) a.storeBf16Pair(at(output, offset), low, high);
  else
    for (const [c, value] of values.entries())
      storePixel(a, spec.output, spec.channels, at(output, offset + c * width), value, columns[c]);
  a.freeVec(...values);
}
