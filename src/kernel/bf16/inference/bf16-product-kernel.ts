/**
 * A matrix product of bf16 factors with f32 sums: rows as they lie in NHWC memory × packed weights. What a target
 * has for it is a `ProductUnit`; walking over the work and the epilogue are the same for all.
 *
 *     weights   panel after panel of 1 or 2 columns of 16 channels: f32 bias [columns][16], then for each chunk, term
 *               and column [chunk/2][16][2] bf16: pairs of inputs, for 16 output channels
 *     scratch   SCRATCH_BYTES for each tile of work, for units whose sums must go through memory
 *
 * All chunks have one width: where that does not divide a run, the last chunk overlaps the one before and its
 * weights are 0 there.
 */

import {
  type Address,
  at,
  atIndex,
  type Int,
  type Vec,
  type VectorAssembler,
} from '../../../assembler/vector-assembler.ts';
import type { ActivationName } from '../../../graph/activations.ts';
import type { KernelSpec, Slot } from '../../plan/plan.ts';
import { emitActivation } from '../../vector/activation.ts';
import { countBySlot } from '../../vector/emit.ts';
import { epilogueName } from '../../vector/epilogue.ts';
import { channelBytes, loadAs, type PixelStorage, storageName, storePixel } from '../../vector/storage.ts';

/** Channels in a column: f32 lanes of a vector and of a row of a tile. */
export const COLUMN_CHANNELS = 16;
export const ROW_BYTES = 64;
/** Columns in a whole panel. */
export const PANEL_COLUMNS = 2;
export const SCRATCH_BYTES = 4096;

/** A stretch of every position's input, and how many blocks of weights it is multiplied with in turn. */
export interface ProductChunk {
  readonly offset: number;
  readonly terms: number;
}

/** Everything the code depends on; sizes are in bytes unless said otherwise. */
export interface ProductSpec {
  /** Positions in a block. */
  readonly positions: number;
  readonly positionStride: number;
  readonly lineStride: number;
  readonly chunks: readonly ProductChunk[];
  /** Terms of inputs: chunks that follow each other and differ in the term only. */
  readonly inputTerms: number;
  /** Numbers in a chunk, even, at most 32. */
  readonly chunk: number;
  readonly outputStride: number;
  readonly outputLineStride: number;
  /** Output channels in what remains after whole panels: 0 … 31. */
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

export interface ProductRecord {
  readonly input: Slot;
  readonly weights: Slot;
  readonly output: Slot;
  readonly residual: Slot;
  readonly scratch: Slot;
  readonly lines: number;
  /** Blocks in a line. */
  readonly blocks: number;
  /** Whole panels. */
  readonly panels: number;
}

export function productSlots(record: ProductRecord): readonly Slot[] {
  const { input, weights, output, residual, scratch, lines, blocks, panels } = record;
  return [input, weights, output, residual, scratch, lines, blocks, panels];
}

/** Where a block and a panel lie. */
export interface PanelPlace {
  readonly spec: ProductSpec;
  readonly input: Int;
  readonly weights: Int;
  readonly scratch: Int;
  /** Channels in each column. */
  readonly columns: readonly number[];
  /** Bytes from the panel's start to each column's block of weights of a chunk and term, counted through. */
  readonly weightBlock: (block: number, column: number) => number;
}

/** Takes the sum of a position and column: a vector, or where it lies. */
export type FinishRow = (position: number, sums: readonly (Vec | Address)[]) => void;

/** What a target multiplies with. */
export interface ProductUnit {
  readonly name: string;
  readonly mostPositions: number;
  /** Weights that blocks read one after the other, as the second cache has them then. */
  readonly nearWeightBytes: number;
  /** Code around all others; `panel` computes one block × one panel and hands every position to `finish`. */
  readonly emit: (
    a: VectorAssembler,
    spec: ProductSpec,
    walk: (panel: (place: PanelPlace, finish: FinishRow) => void) => void,
  ) => void;
}

export function productKernel(unit: ProductUnit, spec: ProductSpec): KernelSpec {
  const strides = [spec.positionStride, spec.lineStride, spec.outputStride, spec.outputLineStride];
  const chunks = spec.chunks.map(({ offset, terms }) => `${offset}*${terms}`);
  return {
    name: `bf16_${unit.name}${epilogueName(spec)}_${storageName(spec.output)}_m${spec.positions}k${spec.chunk}@${chunks.join(',')}n${spec.channels}.${spec.restChannels}_s${strides.join(',')}`,
    generate: (a) => unit.emit(a, spec, (panel) => emitWalk(a, spec, panel)),
  };
}

type Panel = (place: PanelPlace, finish: FinishRow) => void;

interface Context {
  readonly a: VectorAssembler;
  readonly spec: ProductSpec;
  readonly panel: Panel;
  readonly input: Int;
  readonly weights: Int;
  readonly output: Int;
  /** Bytes from an output to its residual. */
  readonly residual: Int | undefined;
  readonly scratch: Int;
}

function emitWalk(a: VectorAssembler, spec: ProductSpec, panel: Panel): void {
  const line = { input: a.slot(SLOT.input), output: a.slot(SLOT.output) };
  const residual = spec.residual ? a.slot(SLOT.residual) : undefined;
  if (residual !== undefined) a.subtractInt(residual, line.output);
  const scratch = a.slot(SLOT.scratch);
  const [input, weights, output] = [a.newInt(), a.newInt(), a.newInt()];
  const context: Context = { a, spec, panel, input, weights, output, residual, scratch };
  countBySlot(a, SLOT.lines, () => {
    a.moveInt(input, line.input);
    a.moveInt(output, line.output);
    countBySlot(a, SLOT.blocks, () => emitBlock(context));
    a.addInt(line.input, spec.lineStride);
    a.addInt(line.output, spec.outputLineStride);
  });
  a.freeInt(line.input, line.output, input, weights, output, scratch);
  if (residual !== undefined) a.freeInt(residual);
}

/** All panels of one block of positions, so that its input stays in the nearest cache; then on to the next block. */
function emitBlock(context: Context): void {
  const { a, spec, input, output, weights } = context;
  const start = a.newInt();
  a.moveInt(start, output);
  a.loadPointer(weights, at(a.record, 8 * SLOT.weights));
  countBySlot(a, SLOT.panels, () => {
    emitPanel(context, [COLUMN_CHANNELS, COLUMN_CHANNELS]);
    a.addInt(output, PANEL_COLUMNS * COLUMN_CHANNELS * channelBytes(spec.output));
  });
  const rest = spec.restChannels;
  if (rest > 0)
    emitPanel(context, rest > COLUMN_CHANNELS ? [COLUMN_CHANNELS, rest - COLUMN_CHANNELS] : [rest]);
  a.moveInt(output, start);
  a.freeInt(start);
  a.addInt(input, spec.positions * spec.positionStride);
  a.addInt(output, spec.positions * spec.outputStride);
}

function emitPanel(context: Context, columns: readonly number[]): void {
  const { a, spec, input, weights, scratch, panel } = context;
  const bias = columns.length * ROW_BYTES;
  const blockBytes = (spec.chunk / 2) * ROW_BYTES;
  const weightBlock = (block: number, column: number): number =>
    bias + (block * columns.length + column) * blockBytes;
  panel({ spec, input, weights, scratch, columns, weightBlock }, (position, sums) =>
    emitRow(context, columns, position, sums),
  );
  const blocks = spec.chunks.reduce((sum, { terms }) => sum + terms, 0);
  a.addInt(weights, weightBlock(blocks, 0));
}

/** Sums of one position → activation(sums + residual) in the output. */
function emitRow(
  context: Context,
  columns: readonly number[],
  position: number,
  sums: readonly (Vec | Address)[],
): void {
  const { a, spec, output, residual } = context;
  const offset = position * spec.outputStride;
  const width = COLUMN_CHANNELS * channelBytes(spec.output);
  const values = sums.map((sum, c) => {
    const value = a.newVec();
    if (spec.activation === 'relu' && residual === undefined) {
      // One instruction where the sum lies in memory; NaN stands on the right, so it stays.
      a.zero(value);
      a.binary('maximum', value, value, sum);
      return value;
    }
    if (typeof sum === 'number') a.move(value, sum);
    else a.load(value, sum);
    addResidual(context, value, offset + c * width, columns[c]);
    if (spec.activation !== null) emitActivation(a, spec.activation, value);
    return value;
  });
  const [low, high] = values;
  const pair = spec.output !== 'f32' && spec.output.terms === 1 && columns[1] === COLUMN_CHANNELS;
  if (pair && low !== undefined && high !== undefined) a.storeBf16Pair(at(output, offset), low, high);
  else
    for (const [c, value] of values.entries())
      storePixel(a, spec.output, spec.channels, at(output, offset + c * width), value, columns[c]);
  a.freeVec(...values);
}

function addResidual(
  { a, spec, output, residual }: Context,
  value: Vec,
  offset: number,
  count?: number,
): void {
  if (residual === undefined) return;
  const x = a.newVec();
  loadAs(a, spec.output === 'f32' ? 'f32' : 'bf16', x, atIndex(output, residual, 1, offset), count);
  a.binary('add', value, value, x);
  a.freeVec(x);
}
