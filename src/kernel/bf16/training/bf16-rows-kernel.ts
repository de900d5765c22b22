/**
 * Rows of C = A·B of bf16 factors with f32 sums: a block of rows of A is rounded to bf16 and stays in the
 * first cache while all panels of B (bf16-panels.ts) go by; the next block is fetched meanwhile. So A is read once,
 * and C is written once.
 *
 *     scratch   rounded rows [k/32][rows][32] bf16; then sums, for units that need memory for them
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
import { emitActivationGrad } from '../../vector/activation-grad.ts';
import { countBySlot } from '../../vector/emit.ts';
import { epilogueName } from '../../vector/epilogue.ts';
import { BLOCK, BLOCK_BYTES, pairsOf, ROW_BYTES, runsOf, STEPS } from './bf16-pairs.ts';
import { blocksAcross, PANEL_COLUMNS } from './bf16-panels.ts';
import { type RowsBlock, type RowsSums, type RowsUnit, SUM_BYTES } from './bf16-rows-units.ts';

const LINE_BYTES = 64;

export interface RowsSpec {
  /** Rows of a block, as many as the unit takes at most. */
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

export function rowsKernel(unit: RowsUnit, spec: RowsSpec): KernelSpec {
  const { rows, n, k, aRow, cRow, derivative, past } = spec;
  const epilogue = `${epilogueName(spec)}${derivative ? `_d${derivative}` : ''}${past ? '_past' : ''}`;
  return {
    name: `bf16_rows_${unit.name}${epilogue}_${rows}x${n}x${k}_s${aRow},${cRow}`,
    generate: (a) => emitRows(a, unit, spec),
  };
}

interface Context {
  readonly a: VectorAssembler;
  readonly spec: RowsSpec;
  readonly panels: Int;
  readonly c: Int;
  /** Bytes from a number of C to its residual, and to what the derivative is taken of. */
  readonly residual: Int | undefined;
  readonly derivative: Int | undefined;
  readonly scratch: Int;
  /** The next block's rows that are to be fetched. */
  readonly ahead: Int;
  readonly multiply: (block: RowsBlock) => RowsSums;
}

function emitRows(a: VectorAssembler, unit: RowsUnit, spec: RowsSpec): void {
  const { rows, n, cRow } = spec;
  const [from, panels, c, scratch] = [a.slot(SLOT.a), a.newInt(), a.slot(SLOT.c), a.slot(SLOT.scratch)];
  const residual = spec.residual ? a.slot(SLOT.residual) : undefined;
  const derivative = spec.derivative ? a.slot(SLOT.derivative) : undefined;
  const beside = [residual, derivative].filter((each) => each !== undefined);
  for (const each of beside) a.subtractInt(each, c);
  const ahead = a.newInt();
  const { multiply, close } = unit.open(a, rows);
  const context: Context = { a, spec, panels, c, residual, derivative, scratch, ahead, multiply };
  const { whole, rest } = runsOf(n, PANEL_COLUMNS);
  countBySlot(a, SLOT.blocks, () => {
    emitRounding(a, spec, from, scratch);
    a.moveInt(ahead, from);
    a.loadPointer(panels, at(a.record, 8 * SLOT.panels));
    a.loop(whole, () => emitPanel(context, PANEL_COLUMNS));
    if (rest > 0) emitPanel(context, rest);
    a.addInt(c, rows * cRow - (whole + (rest > 0 ? 1 : 0)) * PANEL_COLUMNS * 4);
  });
  close();
  a.freeInt(from, panels, c, scratch, ahead, ...beside);
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
  const { a, spec, panels, c, scratch, multiply } = context;
  const [across, chunks] = [blocksAcross(columns), chunksOf(spec.k)];
  const sums = multiply({
    ...{ rows: spec.rows, chunks, across, panel: panels },
    rounded: scratch,
    sumsAt: roundedBytes(spec),
    meanwhile: () => emitFetch(context),
  });
  for (let row = 0; row < spec.rows; row++)
    for (let column = 0; column < across; column++)
      emitNumbers(context, sums(row, column), {
        offset: row * spec.cRow + column * ROW_BYTES,
        count: Math.min(BLOCK, columns - column * BLOCK),
      });
  a.addInt(c, PANEL_COLUMNS * 4);
  a.addInt(panels, across * (ROW_BYTES + chunks * BLOCK_BYTES));
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

/** activation(sums + residual), or times the derivative, to a place in C. */
function emitNumbers(
  { a, spec, c, residual, derivative }: Context,
  sums: Vec | Address,
  { offset, count }: { readonly offset: number; readonly count: number },
): void {
  const value = typeof sums === 'number' ? sums : a.newVec();
  if (typeof sums !== 'number') a.load(value, sums);
  const more = a.newVec();
  if (residual !== undefined) {
    a.load(more, atIndex(c, residual, 1, offset), count);
    a.binary('add', value, value, more);
  }
  if (spec.activation !== null) emitActivation(a, spec.activation, value);
  if (derivative !== undefined && spec.derivative !== null) {
    a.load(more, atIndex(c, derivative, 1, offset), count);
    emitActivationGrad(a, spec.derivative, value, more);
  }
  if (spec.past) a.storePast(at(c, offset), value);
  else a.store(at(c, offset), value, count);
  a.freeVec(value, more);
}
