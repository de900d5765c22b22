/**
 * Backward pass of `normSum`. With dz = dy·fn′(y), u_i = (x_i − mean_i)/√(variance_i + eps) and N rows, per channel:
 *
 *     dbeta = Σ dz        dgamma_i = Σ dz·u_i        dx_i = gamma_i/√(variance_i + eps)·(dz − dbeta/N − u_i·dgamma_i/N)
 *
 * Three steps: sums of shares of rows; gradients and factors of every channel; one pass over all tensors, last rows
 * first. Fixed statistics leave dx_i = gamma_i/√(variance_i + eps)·dz, for which no x is read again.
 *
 * Scratch memory: the shares' sums, then dbeta/N, then for each branch mean, a and b of dx = a·(dz − dbeta/N) + b·(x − mean).
 */
import {
  at,
  type Int,
  type Vec,
  type VectorAssembler,
  type VectorTarget,
} from '../../assembler/vector-assembler.ts';
import type { OutputActivation } from '../../graph/activations.ts';
import type { Shape } from '../../tensor/tensor.ts';
import { type KernelSpec, outputName, type Slot, type TaskPlan, type Tile } from '../plan/plan.ts';
import { overRow, partAt } from '../vector/vector-span.ts';
import { emitDz, emitSumOfShares, type SumsTask, sumsBytes, sumsTiles } from './norm-sums.ts';
import {
  branchGroups,
  channelRow,
  passShares,
  type Rows,
  rowsOf,
  type Share,
  vectorShares,
} from './norm-tiles.ts';

export interface NormSumGradTask {
  /** Of dy, every x and y: channels last. */
  readonly shape: Shape;
  readonly branches: number;
  readonly eps: number;
  readonly fn: OutputActivation | null;
  readonly statistics: 'batch' | 'fixed';
}

/** Branches in one walk over a tile: pointers to what is read and written of each. */
const MOST_BRANCHES = { batch: 4, fixed: 8 } as const;
const VECTORS = 4;

/**
 * Inputs dy, (x, gamma, mean, variance) of each branch, y if there is a fn; outputs dbeta, (dx, dgamma) of each branch.
 * Every dx may overwrite its x.
 */
export function planNormSumGrad(target: VectorTarget, task: NormSumGradTask): TaskPlan {
  const { branches, fn } = task;
  const rows = rowsOf(task.shape);
  const sums: SumsTask = {
    ...rows,
    dy: 'input0',
    y: fn === null ? null : { buffer: `input${1 + 4 * branches}`, fn },
    branches: Array.from({ length: branches }, (_, i) => ({
      x: `input${1 + 4 * i}` as const,
      mean: `input${3 + 4 * i}` as const,
    })),
  };
  return {
    constants: [],
    scratchBytes: sumsBytes(sums) + (1 + 3 * branches) * channelRow(rows.channels),
    steps: [
      sumsTiles(target, sums),
      factorTiles(target, task, sums),
      passTiles(target, task, rows, sumsBytes(sums)).toReversed(),
    ],
    flops: (1 + 8 * branches) * rows.rows * rows.channels,
  };
}

function factorTiles(target: VectorTarget, task: NormSumGradTask, sums: SumsTask): readonly Tile[] {
  return vectorShares(sums.channels, target.lanes).map(({ start, count }): Tile => {
    const offset = start * 4;
    return {
      kernel: factorKernel(target, task, sums, count),
      slots: [
        { buffer: 'scratch', offset },
        { buffer: 'scratch', offset: sumsBytes(sums) + offset },
        { buffer: 'output', offset },
        ...Array.from({ length: task.branches }, (_, i): Slot[] => [
          ...[2, 3, 4].map((j): Slot => ({ buffer: `input${4 * i + j}`, offset })),
          { buffer: outputName(2 * i + 2), offset },
        ]).flat(),
      ],
    };
  });
}

function factorKernel(
  target: VectorTarget,
  task: NormSumGradTask,
  sums: SumsTask,
  lanes: number,
): KernelSpec {
  const { branches, eps, statistics } = task;
  const { rows, channels } = sums;
  return {
    name: `f32_normFactors_${statistics}_${branches}b${rows}r${channels}c_${lanes}_${eps}__${target.name}`,
    generate: (a) => {
      const [partials, factors, dbeta] = [a.slot(1), a.slot(2), a.slot(3)];
      const [sum, value] = [a.newVec(), a.newVec()];
      emitSumOfShares(a, sums, partials, 0, sum);
      a.store(at(dbeta), sum, lanes);
      a.constant(value, 1 / rows);
      a.binary('multiply', value, value, sum);
      a.store(at(factors), value);
      a.freeVec(value);
      for (let i = 0; i < branches; i++) {
        emitSumOfShares(a, sums, partials, 1 + i, sum);
        emitFactors(a, { eps, rows, lanes, branch: i, row: channelRow(channels), factors, sum });
      }
      a.freeVec(sum);
      a.freeInt(partials, factors, dbeta);
    },
  };
}

interface Factors {
  readonly eps: number;
  readonly rows: number;
  readonly lanes: number;
  readonly branch: number;
  readonly row: number;
  readonly factors: Int;
  /** Σ dz·(x − mean); spent. */
  readonly sum: Vec;
}

/** Writes a branch's dgamma, mean, a and b. */
function emitFactors(a: VectorAssembler, { eps, rows, lanes, branch, row, factors, sum }: Factors): void {
  const [gamma, mean, variance, dgamma] = [0, 1, 2, 3].map((i) => a.slot(4 + 4 * branch + i));
  if (!gamma || !mean || !variance || !dgamma) return;
  const [inverse, value] = [a.newVec(), a.newVec()];
  a.load(value, at(mean), lanes);
  a.store(at(factors, (1 + 3 * branch) * row), value);
  a.load(inverse, at(variance), lanes);
  a.constant(value, eps);
  a.binary('add', inverse, inverse, value);
  a.unary('squareRoot', inverse, inverse);
  a.constant(value, 1);
  a.binary('divide', inverse, value, inverse);
  a.binary('multiply', sum, sum, inverse);
  a.store(at(dgamma), sum, lanes);
  a.load(value, at(gamma), lanes);
  a.binary('multiply', value, value, inverse);
  a.store(at(factors, (2 + 3 * branch) * row), value);
  // b = −a·dgamma/N/√(variance + eps)
  a.binary('multiply', value, value, inverse);
  a.binary('multiply', value, value, sum);
  a.constant(inverse, -1 / rows);
  a.binary('multiply', value, value, inverse);
  a.store(at(factors, (3 + 3 * branch) * row), value);
  a.freeVec(inverse, value);
  a.freeInt(gamma, mean, variance, dgamma);
}

function passTiles(
  target: VectorTarget,
  task: NormSumGradTask,
  rows: Rows,
  factors: number,
): readonly Tile[] {
  const { branches, fn } = task;
  return passShares(rows).map(({ start, count }): Tile => {
    const offset = start * rows.channels * 4;
    return {
      kernel: passKernel(target, task, { rows: count, channels: rows.channels }),
      slots: [
        { buffer: 'scratch', offset: factors },
        { buffer: 'input0', offset },
        { buffer: fn === null ? 'input0' : `input${1 + 4 * branches}`, offset },
        ...Array.from({ length: branches }, (_, i): Slot[] => [
          { buffer: `input${1 + 4 * i}`, offset },
          { buffer: outputName(2 * i + 1), offset },
        ]).flat(),
      ],
    };
  });
}

function passKernel(target: VectorTarget, task: NormSumGradTask, tile: Rows): KernelSpec {
  const { branches, fn, statistics } = task;
  return {
    name: `f32_normSumGrad_${fn ?? 'linear'}_${statistics}_${branches}b${tile.rows}r${tile.channels}c__${target.name}`,
    generate: (a) => {
      for (const group of branchGroups(branches, MOST_BRANCHES[statistics])) emitPass(a, tile, task, group);
    },
  };
}

function emitPass(a: VectorAssembler, { rows, channels }: Rows, task: NormSumGradTask, group: Share): void {
  const { fn, statistics } = task;
  const row = channelRow(channels);
  const [factors, dy, y] = [a.slot(1), a.slot(2), fn === null ? undefined : a.slot(3)];
  const pointers = Array.from({ length: group.count }, (_, i) => ({
    own: (1 + 3 * (group.start + i)) * row,
    x: statistics === 'batch' ? a.slot(4 + 2 * (group.start + i)) : undefined,
    dx: a.slot(5 + 2 * (group.start + i)),
  }));
  const tensors = [dy, ...(y ? [y] : []), ...pointers.flatMap(({ x, dx }) => (x ? [x, dx] : [dx]))];
  a.loop(rows, () => {
    overRow(a, channels, VECTORS, [factors, ...tensors], (parts) => {
      for (const part of parts) {
        const dz = emitDz(a, fn, { dy, y }, part);
        if (statistics === 'batch') a.binary('subtract', dz, dz, at(factors, part.offset));
        const results = pointers.map(({ own, x, dx }) => {
          const of = (which: number) => at(factors, part.offset + own + which * row);
          const value = a.newVec();
          if (x === undefined) a.binary('multiply', value, dz, of(1));
          else {
            a.load(value, partAt(x, part), part.lanes);
            a.binary('subtract', value, value, of(0));
            a.binary('multiply', value, value, of(2));
            a.fma(value, dz, of(1));
          }
          return { dx, value };
        });
        // Only now: tensors often lie whole pages apart, where a load waits for a store before it.
        for (const { dx, value } of results) {
          a.store(partAt(dx, part), value, part.lanes);
          a.freeVec(value);
        }
        a.freeVec(dz);
      }
    });
    for (const tensor of tensors) a.addInt(tensor, channels * 4);
  });
  a.freeInt(factors, ...tensors);
}
