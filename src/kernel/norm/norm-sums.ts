/**
 * Sums over rows, channel by channel, of dz = dy·fn′(y) and of dz·(x_i − mean_i) for any number of x_i: each share
 * of rows adds up its own, in one walk over all tensors. Without any x_i this is the sum over positions.
 */
import {
  at,
  type Int,
  type Vec,
  type VectorAssembler,
  type VectorTarget,
} from '../../assembler/vector-assembler.ts';
import type { OutputActivation } from '../../graph/activations.ts';
import type { BufferName, KernelSpec, Slot, Tile } from '../plan/plan.ts';
import { emitActivationGrad, OUTPUT_GRAD_VECTORS } from '../vector/activation-grad.ts';
import { zeroed } from '../vector/emit.ts';
import { evenUnroll, overRow, type Part, partAt } from '../vector/vector-span.ts';
import { branchGroups, channelRow, channelSpans, type Rows, rowShares } from './norm-tiles.ts';

export interface SumsTask extends Rows {
  readonly dy: BufferName;
  /** Read only where there is a function. */
  readonly y: { readonly buffer: BufferName; readonly fn: OutputActivation } | null;
  readonly branches: readonly { readonly x: BufferName; readonly mean: BufferName }[];
}

/** Branches in one walk: more would leave registers for narrower columns only, and those are read at a stride. */
const MOST_BRANCHES = 2;

/** In scratch memory, for every share of rows: Σ dz, then Σ dz·(x_i − mean_i) of each branch. */
export function sumsBytes(task: SumsTask): number {
  return rowShares(task).length * sumsStride(task);
}

/** Bytes from one share's sums to the next one's. */
function sumsStride({ branches, channels }: SumsTask): number {
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
      const groups =
        branches.length === 0 ? [{ start: 0, count: 0 }] : branchGroups(branches.length, MOST_BRANCHES);
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

/** A branch's sum for one vector of channels. */
interface Sum {
  readonly x: Int;
  readonly mean: Int;
  readonly sum: Vec;
}

function emitSums(a: VectorAssembler, group: Group): void {
  const { start, count, span, fn } = group;
  const row = channelRow(group.channels);
  const [dy, y] = [a.slot(1), fn === null ? undefined : a.slot(2)];
  const out = a.slot(3);
  const branches = Array.from({ length: count }, (_, i) => ({
    x: a.slot(4 + 2 * (start + i)),
    mean: a.slot(5 + 2 * (start + i)),
  }));
  const tensors = [dy, ...(y ? [y] : []), ...branches.map(({ x }) => x)];
  const vectors = [out, ...branches.map(({ mean }) => mean)];
  const move = (rows: number): void => {
    for (const tensor of tensors) a.addInt(tensor, rows * group.channels * 4);
  };
  const spare = fn === null ? 4 : OUTPUT_GRAD_VECTORS[fn];
  const unroll = evenUnroll(span, a.lanes, Math.floor((a.target.vectorRegisters - spare) / (1 + count)));
  overRow(a, span, unroll, [...tensors, ...vectors], (parts) => {
    const columns = parts.map((part) => ({
      part,
      total: start === 0 ? zeroed(a) : undefined,
      sums: branches.map((branch): Sum => ({ ...branch, sum: zeroed(a) })),
    }));
    a.loop(group.rows, () => {
      for (const column of columns) emitRow(a, fn, { dy, y }, column);
      move(1);
    });
    move(-group.rows);
    for (const { part, total, sums } of columns) {
      if (total !== undefined) {
        a.store(partAt(out, part), total);
        a.freeVec(total);
      }
      sums.forEach(({ sum }, i) => {
        a.store(at(out, part.offset + (1 + start + i) * row), sum);
        a.freeVec(sum);
      });
    }
  });
  a.freeInt(...tensors, ...vectors);
}

interface Walk {
  readonly dy: Int;
  readonly y: Int | undefined;
}

/** A fresh register with dz = dy·fn′(y). */
export function emitDz(a: VectorAssembler, fn: OutputActivation | null, { dy, y }: Walk, part: Part): Vec {
  const dz = a.newVec();
  a.load(dz, partAt(dy, part), part.lanes);
  if (fn !== null && y !== undefined) {
    const value = a.newVec();
    a.load(value, partAt(y, part), part.lanes);
    emitActivationGrad(a, fn, dz, value);
    a.freeVec(value);
  }
  return dz;
}

interface Column {
  readonly part: Part;
  readonly total: Vec | undefined;
  readonly sums: readonly Sum[];
}

function emitRow(
  a: VectorAssembler,
  fn: OutputActivation | null,
  walk: Walk,
  { part, total, sums }: Column,
): void {
  const dz = emitDz(a, fn, walk, part);
  if (total !== undefined) a.binary('add', total, total, dz);
  const value = a.newVec();
  for (const { x, mean, sum } of sums) {
    a.load(value, partAt(x, part), part.lanes);
    if (part.lanes === a.lanes) a.binary('subtract', value, value, partAt(mean, part));
    else {
      const own = a.newVec();
      a.load(own, partAt(mean, part), part.lanes);
      a.binary('subtract', value, value, own);
      a.freeVec(own);
    }
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
