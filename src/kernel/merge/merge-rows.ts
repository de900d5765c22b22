/** What kernels that walk rows of weights share: an output channel is a row of P numbers. */
import { at, type Int, type Vec, type VectorAssembler } from '../../assembler/vector-assembler.ts';
import {
  type BufferPlace,
  further,
  type KernelSpec,
  type Slot,
  type Tile,
  type TileStep,
} from '../plan/plan.ts';
import { scratchAt } from '../plan/scratch-layout.ts';
import { spans } from '../plan/split-work.ts';
import { overRow, partAt } from '../vector/vector-span.ts';
import { type MergeTask, rowsPerGroup } from './merge-task.ts';

/** Arithmetic of a tile, about. */
const NUMBERS_A_TILE = 2 ** 15;

/** Rows first … end − 1 of a group. */
export interface RowSpan {
  readonly group: number;
  readonly first: number;
  readonly end: number;
}

export function rowSpans(task: MergeTask): readonly RowSpan[] {
  const rows = rowsPerGroup(task);
  const parts = Math.ceil((rows * task.length) / NUMBERS_A_TILE);
  return Array.from({ length: task.groups }, (_, group) =>
    spans(rows, parts).map(({ first, end }) => ({ group, first, end })),
  ).flat();
}

/** A row counter and pointers that follow from it: records hold where row 0 of the tile lies. */
export interface RowWalk {
  /** A fresh pointer: the slot's, moved on by the tile's row times `bytes`. */
  readonly pointer: (slot: number, bytes: number) => Int;
}

/** @param countSlot how many rows the tile has */
export function walkRows(a: VectorAssembler, countSlot: number, body: (walk: RowWalk) => void): void {
  const [row, count] = [a.int(0), a.slot(countSlot)];
  a.loop(count, () => {
    body({
      pointer: (slot, bytes) => {
        const [pointer, moved] = [a.slot(slot), a.newInt()];
        a.moveInt(moved, row);
        a.multiplyInt(moved, bytes);
        a.addInt(pointer, moved);
        a.freeInt(moved);
        return pointer;
      },
    });
    a.addInt(row, 1);
  });
  a.freeInt(row, count);
}

/** The f32 at a pointer of a row, in all lanes. */
export function rowNumber(a: VectorAssembler, walk: RowWalk, slot: number, bytes = 4): Vec {
  const [pointer, value] = [walk.pointer(slot, bytes), a.newVec()];
  a.broadcast(value, at(pointer));
  a.freeInt(pointer);
  return value;
}

export function storeNumber(a: VectorAssembler, walk: RowWalk, slot: number, value: Vec): void {
  const pointer = walk.pointer(slot, 4);
  a.store(at(pointer), value, 1);
  a.freeInt(pointer);
}

/** target += factor·row, number by number. */
export function addScaled(a: VectorAssembler, length: number, target: Int, factor: Vec, row: Int): void {
  const [sum, value] = [a.newVec(), a.newVec()];
  overRow(a, length, 2, [target, row], (parts) => {
    for (const part of parts) {
      a.load(sum, partAt(target, part), part.lanes);
      a.load(value, partAt(row, part), part.lanes);
      a.fma(sum, factor, value);
      a.store(partAt(target, part), sum, part.lanes);
    }
  });
  a.freeVec(sum, value);
}

/** target = factor·row, number by number. */
export function storeScaled(a: VectorAssembler, length: number, target: Int, factor: Vec, row: Int): void {
  const value = a.newVec();
  overRow(a, length, 2, [target, row], (parts) => {
    for (const part of parts) {
      a.load(value, partAt(row, part), part.lanes);
      a.binary('multiply', value, value, factor);
      a.store(partAt(target, part), value, part.lanes);
    }
  });
  a.freeVec(value);
}

/** 1/√(variance + eps) in place. */
export function emitInverse(a: VectorAssembler, variance: Vec, eps: number): void {
  const one = a.newVec();
  a.constant(one, eps);
  a.binary('add', variance, variance, one);
  a.unary('squareRoot', variance, variance);
  a.constant(one, 1);
  a.binary('divide', variance, one, variance);
  a.freeVec(one);
}

/** Copies between 1×1 weights and rows of P numbers that hold them at the centre, all else zero. */
export function centreTiles(
  task: MergeTask,
  how: 'spread' | 'gather',
  from: { readonly buffer: Exclude<Slot, number>['buffer']; readonly offset: number },
  to: typeof from,
): TileStep {
  const { outChannels, inner, taps, length, centre } = task;
  const kernel: KernelSpec = {
    name: `f32_centre_${how}_${inner}t${taps}c${centre}`,
    generate: (a) => (how === 'spread' ? emitSpread(a, task) : emitGather(a, task)),
  };
  return spans(outChannels, Math.ceil((outChannels * length) / NUMBERS_A_TILE)).map(
    ({ first, end }): Tile => ({
      kernel,
      slots: [
        further(from, first * (how === 'spread' ? inner : length) * 4),
        further(to, first * (how === 'spread' ? length : inner) * 4),
        end - first,
      ],
    }),
  );
}

function emitSpread(a: VectorAssembler, { inner, taps, length, centre }: MergeTask): void {
  const [from, to, rows, x] = [a.slot(1), a.slot(2), a.slot(3), a.newVec()];
  a.loop(rows, () => {
    a.zero(x);
    overRow(a, length, 2, [to], (parts) => {
      for (const part of parts) a.store(partAt(to, part), x, part.lanes);
    });
    a.loop(inner, () => {
      a.load(x, at(from), 1);
      a.store(at(to, centre * 4), x, 1);
      a.addInt(from, 4);
      a.addInt(to, taps * 4);
    });
  });
  a.freeVec(x);
  a.freeInt(from, to, rows);
}

function emitGather(a: VectorAssembler, { inner, taps, centre }: MergeTask): void {
  const [from, to, rows, x] = [a.slot(1), a.slot(2), a.slot(3), a.newVec()];
  a.loop(rows, () => {
    a.loop(inner, () => {
      a.load(x, at(from, centre * 4), 1);
      a.store(at(to), x, 1);
      a.addInt(from, taps * 4);
      a.addInt(to, 4);
    });
  });
  a.freeVec(x);
  a.freeInt(from, to, rows);
}

/** Slots of branches, all alike, which follow each other from `first` on. */
export function branchSlots<What extends string>(
  first: number,
  names: Readonly<Record<What, number>>,
): (branch: number, what: What) => number {
  const each = Object.keys(names).length;
  return (branch, what) => first + branch * each + names[what];
}

/** Where each convolution's rows lie, as whole patches, and the tiles that bring those of 1×1 weights there. */
export function branchRows(
  task: MergeTask,
  inputOf: (branch: number) => BufferPlace,
  take: (numbers: number) => number,
): { readonly rows: readonly BufferPlace[]; readonly spread: TileStep } {
  const spread: Tile[] = [];
  const rows = task.points.map((point, branch) => {
    const from = inputOf(branch);
    if (!point) return from;
    const to = scratchAt(take(task.outChannels * task.length));
    spread.push(...centreTiles(task, 'spread', from, to));
    return to;
  });
  return { rows, spread };
}
