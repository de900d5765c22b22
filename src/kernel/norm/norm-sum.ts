/**
 * The end of a block while it trains: y = fn(Σ gamma_i·(x_i − mean_i)/√(variance_i + eps) + beta_i) with the batch's
 * own statistics. Three steps: moments of shares of rows; statistics and factors of every channel; one pass over
 * all branches, last rows first, for they may still be in a cache.
 *
 * Scratch memory: the shares' moments branch by branch, then for each branch mean and factor, then Σ beta.
 */
import { at, type VectorAssembler, type VectorTarget } from '../../assembler/vector-assembler.ts';
import type { OutputActivation } from '../../graph/activations.ts';
import type { Shape } from '../../tensor/tensor.ts';
import { type KernelSpec, outputName, type Slot, type TaskPlan, type Tile } from '../plan/plan.ts';
import { emitActivation } from '../vector/activation.ts';
import { overRow, partAt } from '../vector/vector-span.ts';
import { emitMoments, momentsBytes, momentTiles } from './norm-moments.ts';
import { branchGroups, channelRow, passShares, type Rows, rowsOf, vectorShares } from './norm-tiles.ts';

export interface NormSumTask {
  /** Of every x and of y: channels last. */
  readonly shape: Shape;
  readonly branches: number;
  readonly eps: number;
  readonly fn: OutputActivation | null;
}

/** Branches added in one walk over a tile; pointers are what runs out. */
const MOST_BRANCHES = 8;
const VECTORS = 4;

/** Inputs (x, gamma, beta) of each branch; outputs y, then (mean, variance) of each branch. */
export function planNormSum(target: VectorTarget, task: NormSumTask): TaskPlan {
  const rows = rowsOf(task.shape);
  const moments = momentsBytes(rows);
  const factors = task.branches * moments;
  const branches = Array.from({ length: task.branches }, (_, i) => i);
  return {
    constants: [],
    scratchBytes: factors + (2 * task.branches + 1) * channelRow(rows.channels),
    steps: [
      branches.flatMap((i) => momentTiles(target, rows, `input${3 * i}`, i * moments)),
      statisticsTiles(target, task, rows, { moments, factors }),
      passTiles(target, task, rows, factors).toReversed(),
    ],
    flops: 8 * task.branches * rows.rows * rows.channels,
  };
}

interface Layout {
  /** Bytes of a branch's moments. */
  readonly moments: number;
  /** Where factors begin. */
  readonly factors: number;
}

function statisticsTiles(
  target: VectorTarget,
  task: NormSumTask,
  rows: Rows,
  layout: Layout,
): readonly Tile[] {
  return vectorShares(rows.channels, target.lanes).map(({ start, count }): Tile => {
    const offset = start * 4;
    return {
      kernel: statisticsKernel(target, task, rows, count),
      slots: [
        { buffer: 'scratch', offset: layout.factors + offset },
        ...Array.from({ length: task.branches }, (_, i): Slot[] => [
          { buffer: 'scratch', offset: i * layout.moments + offset },
          { buffer: `input${3 * i}`, offset },
          { buffer: `input${3 * i + 1}`, offset },
          { buffer: `input${3 * i + 2}`, offset },
          { buffer: outputName(2 * i + 1), offset },
          { buffer: outputName(2 * i + 2), offset },
        ]).flat(),
      ],
    };
  });
}

function statisticsKernel(
  target: VectorTarget,
  { branches, eps }: NormSumTask,
  rows: Rows,
  lanes: number,
): KernelSpec {
  const row = channelRow(rows.channels);
  return {
    name: `f32_normStatistics_${branches}b${rows.rows}r${rows.channels}c_${lanes}_${eps}__${target.name}`,
    generate: (a) => {
      const factors = a.slot(1);
      const [mean, variance, value, shift] = [a.newVec(), a.newVec(), a.newVec(), a.newVec()];
      a.zero(shift);
      for (let i = 0; i < branches; i++) {
        const pointers = [0, 1, 2, 3, 4, 5].map((j) => a.slot(2 + 6 * i + j));
        const [partials, origin, gamma, beta, meanOut, varianceOut] = pointers;
        if (!partials || !origin || !gamma || !beta || !meanOut || !varianceOut) continue;
        emitMoments(a, rows, { partials, origin, lanes }, mean, variance);
        a.store(at(meanOut), mean, lanes);
        a.store(at(varianceOut), variance, lanes);
        a.constant(value, eps);
        a.binary('add', variance, variance, value);
        a.unary('squareRoot', variance, variance);
        a.load(value, at(gamma), lanes);
        a.binary('divide', value, value, variance);
        a.store(at(factors, 2 * i * row), mean);
        a.store(at(factors, (2 * i + 1) * row), value);
        a.load(value, at(beta), lanes);
        a.binary('add', shift, shift, value);
        a.freeInt(...pointers);
      }
      a.store(at(factors, 2 * branches * row), shift);
      a.freeVec(mean, variance, value, shift);
      a.freeInt(factors);
    },
  };
}

function passTiles(target: VectorTarget, task: NormSumTask, rows: Rows, factors: number): readonly Tile[] {
  return passShares(rows).map(({ start, count }): Tile => {
    const offset = start * rows.channels * 4;
    return {
      kernel: passKernel(target, task, { rows: count, channels: rows.channels }),
      slots: [
        { buffer: 'scratch', offset: factors },
        { buffer: 'output', offset },
        ...Array.from({ length: task.branches }, (_, i): Slot => ({ buffer: `input${3 * i}`, offset })),
      ],
    };
  });
}

function passKernel(target: VectorTarget, { branches, fn }: NormSumTask, tile: Rows): KernelSpec {
  return {
    name: `f32_normSum_${fn ?? 'linear'}_${branches}b${tile.rows}r${tile.channels}c__${target.name}`,
    generate: (a) => {
      const groups = branchGroups(branches, MOST_BRANCHES);
      for (const { start, count } of groups)
        emitPass(a, tile, {
          start,
          count,
          branches,
          fn: start + count === branches ? fn : null,
        });
    },
  };
}

interface Pass {
  readonly start: number;
  readonly count: number;
  readonly branches: number;
  readonly fn: OutputActivation | null;
}

/** y ← fn((Σ beta, or y where it is begun) + Σ factor·(x − mean)), row by row. */
function emitPass(a: VectorAssembler, { rows, channels }: Rows, { start, count, branches, fn }: Pass): void {
  const row = channelRow(channels);
  const [factors, y] = [a.slot(1), a.slot(2)];
  const xs = Array.from({ length: count }, (_, i) => a.slot(3 + start + i));
  const tensors = [y, ...xs];
  a.loop(rows, () => {
    overRow(a, channels, VECTORS, [factors, ...tensors], (parts) => {
      for (const part of parts) {
        const [sum, value] = [a.newVec(), a.newVec()];
        if (start === 0) a.load(sum, at(factors, part.offset + 2 * branches * row));
        else a.load(sum, partAt(y, part), part.lanes);
        xs.forEach((x, i) => {
          const own = part.offset + 2 * (start + i) * row;
          a.load(value, partAt(x, part), part.lanes);
          a.binary('subtract', value, value, at(factors, own));
          a.fma(sum, value, at(factors, own + row));
        });
        if (fn !== null) emitActivation(a, fn, sum);
        a.store(partAt(y, part), sum, part.lanes);
        a.freeVec(sum, value);
      }
    });
    for (const tensor of tensors) a.addInt(tensor, channels * 4);
  });
  a.freeInt(factors, ...tensors);
}
