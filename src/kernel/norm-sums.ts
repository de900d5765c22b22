/**
 * Sums over rows, channel by channel, of dz = dy·fn′(y) and of dz·(x_i − mean_i) for any number of x_i: each share
 * of rows adds up its own, in one walk over all tensors. Without any x_i this is the sum over positions.
 */
import {
  at,
  atIndex,
  type Int,
  type Vec,
  type VectorAssembler,
  type VectorTarget,
} from '../assembler/vector-assembler.ts';
import type { OutputActivation } from '../graph/activations.ts';
import { emitActivationGrad } from './activation-grad.ts';
import { branchGroups, channelRow, channelSpans, type Rows, rowShares } from './norm-tiles.ts';
import type { BufferName, KernelSpec, Slot, Tile } from './plan.ts';
import { overRow, type Part } from './vector-span.ts';

export interface SumsTask extends Rows {
  readonly dy: BufferName;
  /** Read only where there is a function. */
  readonly y: { readonly buffer: BufferName; readonly fn: OutputActivation } | null;
  readonly branches: readonly { readonly x: BufferName; readonly mean: BufferName }[];
}

/** Registers beside the sums: dz, x, y, and what a derivative or a part of a vector takes. */
const SPARE = 6;

/** In scratch memory, for every share of rows: Σ dz, then Σ dz·(x_i − mean_i) of each branch. */
export function sumsBytes(task: SumsTask): number {
  return rowShares(task).length * sumsStride(task);
}

/** Bytes from one share's sums to the next one's. */
export function sumsStride({ branches, channels }: SumsTask): number {
  return (1 + branches.length) * channelRow(channels);
}

/** Sums at the beginning of scratch memory. */
export function sumsTiles(target: VectorTarget, task: SumsTask): readonly Tile[] {
  const { channels, dy, y, branches } = task;
  return rowShares(task).flatMap(({ start, count }, share) =>
    channelSpans(channels).map((span): Tile => {
      const offset = (start * channels + span.start) * 4;
      const operands = branches.flatMap(({ x, mean }): Slot[] => [
        { buffer: x, offset },
        { buffer: mean, offset: span.start * 4 },
      ]);
      return {
        kernel: sumsKernel(target, task, count, span.count),
        slots: [
          { buffer: dy, offset },
          { buffer: y?.buffer ?? dy, offset },
          { buffer: 'scratch', offset: share * sumsStride(task) + span.start * 4 },
          ...operands,
        ],
      };
    }),
  );
}

function sumsKernel(target: VectorTarget, task: SumsTask, rows: number, span: number): KernelSpec {
  const { channels, y, branches } = task;
  return {
    name: `f32_sums_${y?.fn ?? 'linear'}_${branches.length}b${rows}r${span}c_s${channels}__${target.name}`,
    generate: (a) => {
      const groups = branches.length === 0 ? [{ start: 0, count: 0 }] : branchGroups(branches.length, 4);
      for (const group of groups) emitSums(a, { ...group, rows, span, channels, fn: y?.fn ?? null });
    },
  };
}

interface Group {
  readonly start: number;
  readonly count: number;
  readonly rows: number;
  readonly span: number;
  readonly channels: number;
  readonly fn: OutputActivation | null;
}

/** A branch's registers for one vector of channels. */
interface Sum {
  readonly x: Int;
  readonly mean: Vec;
  readonly sum: Vec;
}

function emitSums(a: VectorAssembler, group: Group): void {
  const { start, count, span } = group;
  const row = channelRow(group.channels);
  const [dy, y] = [a.slot(1), group.fn === null ? undefined : a.slot(2)];
  const xs = Array.from({ length: count }, (_, i) => a.slot(4 + 2 * (start + i)));
  const element = a.int(0);
  const channel = a.int(0);
  const unroll = Math.max(1, Math.min(8, Math.floor((a.target.vectorRegisters - SPARE) / (1 + 2 * count))));
  overRow(a, span, unroll, [element, channel], (parts) => {
    const columns = parts.map((part) => {
      const sums = xs.map((x, i): Sum => {
        const mean = a.newVec();
        const from = a.slot(5 + 2 * (start + i));
        a.load(mean, atIndex(from, channel, 1, part.offset), part.lanes);
        a.freeInt(from);
        return { x, mean, sum: zeroed(a) };
      });
      return { part, total: start === 0 ? zeroed(a) : undefined, sums };
    });
    a.loop(group.rows, () => {
      for (const { part, total, sums } of columns)
        emitRow(a, group.fn, { dy, y, element }, part, total, sums);
      a.addInt(element, group.channels * 4);
    });
    a.addInt(element, -group.rows * group.channels * 4);
    const out = a.slot(3);
    for (const { part, total, sums } of columns) {
      if (total !== undefined) {
        a.store(atIndex(out, channel, 1, part.offset), total);
        a.freeVec(total);
      }
      sums.forEach(({ mean, sum }, i) => {
        a.store(atIndex(out, channel, 1, part.offset + (1 + start + i) * row), sum);
        a.freeVec(mean, sum);
      });
    }
    a.freeInt(out);
  });
  a.freeInt(dy, element, channel, ...xs, ...(y ? [y] : []));
}

function zeroed(a: VectorAssembler): Vec {
  const vec = a.newVec();
  a.zero(vec);
  return vec;
}

interface Walk {
  readonly dy: Int;
  readonly y: Int | undefined;
  readonly element: Int;
}

/** A fresh register with dz = dy·fn′(y). */
export function emitDz(
  a: VectorAssembler,
  fn: OutputActivation | null,
  { dy, y, element }: Walk,
  part: Part,
): Vec {
  const dz = a.newVec();
  a.load(dz, atIndex(dy, element, 1, part.offset), part.lanes);
  if (fn !== null && y !== undefined) {
    const value = a.newVec();
    a.load(value, atIndex(y, element, 1, part.offset), part.lanes);
    emitActivationGrad(a, fn, dz, value);
    a.freeVec(value);
  }
  return dz;
}

function emitRow(
  a: VectorAssembler,
  fn: OutputActivation | null,
  walk: Walk,
  part: Part,
  total: Vec | undefined,
  sums: readonly Sum[],
): void {
  const dz = emitDz(a, fn, walk, part);
  if (total !== undefined) a.binary('add', total, total, dz);
  const value = a.newVec();
  for (const { x, mean, sum } of sums) {
    a.load(value, atIndex(x, walk.element, 1, part.offset), part.lanes);
    a.binary('subtract', value, value, mean);
    a.fma(sum, value, dz);
  }
  a.freeVec(dz, value);
}

/** sum ← one number per channel of all shares, added up; `partials` ends where it began. */
export function emitSumOfShares(
  a: VectorAssembler,
  task: SumsTask,
  partials: Int,
  which: number,
  sum: Vec,
): void {
  const shares = rowShares(task).length;
  a.zero(sum);
  a.loop(shares, () => {
    a.binary('add', sum, sum, at(partials, which * channelRow(task.channels)));
    a.addInt(partials, sumsStride(task));
  });
  a.addInt(partials, -shares * sumsStride(task));
}
