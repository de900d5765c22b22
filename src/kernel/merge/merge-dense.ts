/**
 * Branches as one convolution, where a group has several channels: T_i = W_i S by products of matrices, then row
 * after row of weights: mean_i = <w, m>, variance_i = <w, t>, and the sum of scaled rows.
 */

import { at, type VectorAssembler, type VectorTarget } from '../../assembler/vector-assembler.ts';
import { stepsSideBySide } from '../plan/join-plans.ts';
import {
  type BufferPlace,
  further,
  type KernelSpec,
  type Slot,
  type TaskPlan,
  type Tile,
} from '../plan/plan.ts';
import { partSteps, scratchAt, scratchLayout } from '../plan/scratch-layout.ts';
import { planGemm } from '../product/gemm.ts';
import { zeroed } from '../vector/emit.ts';
import { rowDot } from '../vector/row-dot.ts';
import {
  addScaled,
  branchRows,
  branchSlots,
  emitInverse,
  type RowSpan,
  type RowWalk,
  rowNumber,
  rowSpans,
  storeNumber,
  storeScaled,
  walkRows,
} from './merge-rows.ts';
import { branchCount, type MergeTask, rowsPerGroup } from './merge-task.ts';

const SLOT = {
  count: 1,
  mean: 2,
  weight: 3,
  bias: 4,
  ownMean: 5,
  ownVariance: 6,
  ownWeight: 7,
  branches: 8,
} as const;
const BRANCH = { gamma: 0, beta: 1, mean: 2, variance: 3, rows: 4, products: 5, scale: 6 } as const;

const slotOf = branchSlots(SLOT.branches, BRANCH);

const input = (index: number): BufferPlace => ({ buffer: `input${index}`, offset: 0 });
const output = (index: number): BufferPlace => ({ buffer: `output${index}`, offset: 0 });

export function planDenseMerge(target: VectorTarget, task: MergeTask): TaskPlan {
  const { groups, outChannels, length, points } = task;
  const perGroup = rowsPerGroup(task);
  const scratch = scratchLayout();
  const { rows, spread } = branchRows(task, (branch) => input(2 + 3 * branch), scratch.take);
  const products = points.map((_, branch) => output(2 + 2 * branchCount(task) + branch));
  const scales = scratch.take(branchCount(task) * outChannels);
  const gemm = planGemm(target, {
    m: perGroup,
    n: length,
    k: length,
    transposeA: false,
    transposeB: false,
    accumulate: false,
  });
  const multiplied = points.flatMap((_, branch) =>
    Array.from({ length: groups }, (__, group) => {
      const offset = group * perGroup * length * 4;
      const from = rows[branch] ?? input(0);
      const places = {
        input0: further(from, offset),
        input1: { ...input(1), offset: group * length * length * 4 },
        output: { ...(products[branch] ?? output(0)), offset },
      };
      return partSteps(gemm, places, scratch);
    }),
  );
  const kernel = mergeKernel(task);
  const last = rowSpans(task).map(
    (span): Tile => ({ kernel, slots: mergeSlots(task, span, { rows, products, scales }) }),
  );
  const steps = [spread, ...stepsSideBySide(multiplied), last].filter((tiles) => tiles.length > 0);
  const flops = 2 * points.length * outChannels * length * length;
  return { constants: [], scratchBytes: scratch.bytes(), steps, flops };
}

interface Places {
  readonly rows: readonly BufferPlace[];
  readonly products: readonly BufferPlace[];
  readonly scales: number;
}

function mergeSlots(
  task: MergeTask,
  { group, first, end }: RowSpan,
  { rows, products, scales }: Places,
): readonly Slot[] {
  const { outChannels, length, taps, centre, points, skip } = task;
  const row = group * rowsPerGroup(task) + first;
  const own = first * taps + centre;
  const vector = (buffer: BufferPlace['buffer']): Slot => ({ buffer, offset: row * 4 });
  const head: readonly Slot[] = [
    end - first,
    { buffer: 'input0', offset: group * length * 4 },
    { buffer: 'output', offset: row * length * 4 },
    vector('output1'),
    skip ? { buffer: 'input0', offset: (group * length + own) * 4 } : 0,
    skip ? { buffer: 'input1', offset: (group * length + own) * length * 4 + own * 4 } : 0,
    skip ? { buffer: 'output', offset: (row * length + own) * 4 } : 0,
  ];
  const branches = Array.from({ length: branchCount(task) }, (_, branch): readonly Slot[] => {
    const isSkip = branch === points.length;
    const from = rows[branch] ?? input(0);
    const vectors = 2 + 3 * branch + (isSkip ? 0 : 1);
    return [
      vector(`input${vectors}`),
      vector(`input${vectors + 1}`),
      vector(`output${2 + 2 * branch}`),
      vector(`output${3 + 2 * branch}`),
      isSkip ? 0 : further(from, row * length * 4),
      isSkip ? 0 : { ...(products[branch] ?? output(0)), offset: row * length * 4 },
      scratchAt(scales + (branch * outChannels + row) * 4),
    ];
  });
  return [...head, ...branches.flat()];
}

function mergeKernel(task: MergeTask): KernelSpec {
  const { length, taps, points, skip, eps } = task;
  return {
    name: `f32_merge_${points.length}${skip ? 'skip' : ''}_${length}t${taps}_eps${eps}`,
    generate: (a) => walkRows(a, SLOT.count, (walk) => emitRow(a, task, walk)),
  };
}

function emitRow(a: VectorAssembler, task: MergeTask, walk: RowWalk): void {
  const { length, taps, points, skip, eps } = task;
  const rowBytes = length * 4;
  const bias = zeroed(a);
  for (let branch = 0; branch < branchCount(task); branch++) {
    const isSkip = branch === points.length;
    const { mean, variance } = isSkip
      ? {
          mean: rowNumber(a, walk, SLOT.ownMean, taps * 4),
          variance: rowNumber(a, walk, SLOT.ownVariance, taps * (length + 1) * 4),
        }
      : rowStatistics(a, task, walk, branch);
    storeNumber(a, walk, slotOf(branch, 'mean'), mean);
    storeNumber(a, walk, slotOf(branch, 'variance'), variance);
    emitInverse(a, variance, eps);
    const gamma = rowNumber(a, walk, slotOf(branch, 'gamma'));
    a.binary('multiply', variance, variance, gamma);
    storeNumber(a, walk, slotOf(branch, 'scale'), variance);
    const beta = rowNumber(a, walk, slotOf(branch, 'beta'));
    a.binary('multiply', mean, mean, variance);
    a.binary('subtract', beta, beta, mean);
    a.binary('add', bias, bias, beta);
    a.freeVec(mean, variance, gamma, beta);
  }
  storeNumber(a, walk, SLOT.bias, bias);
  a.freeVec(bias);
  points.forEach((_, branch) => {
    const scale = rowNumber(a, walk, slotOf(branch, 'scale'));
    const [to, from] = [walk.pointer(SLOT.weight, rowBytes), walk.pointer(slotOf(branch, 'rows'), rowBytes)];
    if (branch === 0) storeScaled(a, length, to, scale, from);
    else addScaled(a, length, to, scale, from);
    a.freeVec(scale);
    a.freeInt(to, from);
  });
  if (skip) addOwn(a, walk, { length, taps, branch: points.length });
}

function rowStatistics(a: VectorAssembler, { length }: MergeTask, walk: RowWalk, branch: number) {
  const own = walk.pointer(slotOf(branch, 'rows'), length * 4);
  const products = walk.pointer(slotOf(branch, 'products'), length * 4);
  const moments = a.slot(SLOT.mean);
  const mean = rowDot(a, length, 2, own, moments);
  const variance = rowDot(a, length, 2, own, products);
  a.freeInt(own, products, moments);
  return { mean, variance };
}

function addOwn(
  a: VectorAssembler,
  walk: RowWalk,
  { length, taps, branch }: { readonly length: number; readonly taps: number; readonly branch: number },
): void {
  const [scale, value] = [rowNumber(a, walk, slotOf(branch, 'scale')), a.newVec()];
  const own = walk.pointer(SLOT.ownWeight, (length + taps) * 4);
  a.load(value, at(own), 1);
  a.binary('add', value, value, scale);
  a.store(at(own), value, 1);
  a.freeVec(scale, value);
  a.freeInt(own);
}
