/**
 * The gradient of merging, where a group has several channels. Row after row of weights, the cotangents of scale,
 * mean and variance, and the gradient of the row; then products of matrices, with V_i = diag(dvariance_i) W_i:
 *
 *     dW_i = scale_i dW + dmean_i mᵀ + 2 diag(dvariance_i) T_i      dS = Σ V_iᵀ W_i      dm = Σ W_iᵀ dmean_i
 *
 * and what the skip adds to the moments of its own channel.
 */

import { at, type Vec, type VectorAssembler, type VectorTarget } from '../../assembler/vector-assembler.ts';
import { stepsSideBySide } from '../plan/join-plans.ts';
import {
  type BufferPlace,
  further,
  type KernelSpec,
  type Slot,
  type TaskPlan,
  type Tile,
  type TileStep,
} from '../plan/plan.ts';
import { partSteps, type ScratchLayout, scratchAt, scratchLayout } from '../plan/scratch-layout.ts';
import { type GemmTask, planGemm } from '../product/gemm.ts';
import { rowDot } from '../vector/row-dot.ts';
import { overRow, partAt } from '../vector/vector-span.ts';
import {
  branchRows,
  branchSlots,
  centreTiles,
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
import { mirrorTiles, upperProduct } from './symmetric-product.ts';

const SLOT = {
  count: 1,
  dweight: 2,
  dbias: 3,
  ownDweight: 4,
  mean: 5,
  dmoment: 6,
  dcovariance: 7,
  branches: 8,
} as const;
const BRANCH = {
  gamma: 0,
  mean: 1,
  variance: 2,
  rows: 3,
  dgamma: 4,
  scale: 5,
  dmean: 6,
  dvariance: 7,
  scaled: 8,
  products: 9,
  drows: 10,
} as const;

const slotOf = branchSlots(SLOT.branches, BRANCH);

const input = (index: number): BufferPlace => ({ buffer: `input${index}`, offset: 0 });

interface Places {
  readonly rows: readonly BufferPlace[];
  /** Where the gradients of rows go: outputs, but scratch memory for 1×1 weights. */
  readonly drows: readonly BufferPlace[];
  /** V_i, and one number for each row of each branch. */
  readonly scaled: readonly number[];
  readonly scale: number;
  readonly dmean: number;
  readonly dvariance: number;
}

export function planDenseMergeGrad(target: VectorTarget, task: MergeTask): TaskPlan {
  const { outChannels, length, points } = task;
  const scratch = scratchLayout();
  const { rows, spread } = branchRows(task, (branch) => input(1 + 3 * branch), scratch.take);
  const take = (): number => scratch.take(branchCount(task) * outChannels);
  const places: Places = {
    rows,
    drows: points.map((point, branch) =>
      point ? scratchAt(scratch.take(outChannels * length)) : output(branch),
    ),
    scaled: points.map(() => scratch.take(outChannels * length)),
    scale: take(),
    dmean: take(),
    dvariance: take(),
  };
  const tilesOf = (kernel: KernelSpec): TileStep =>
    rowSpans(task).map((span): Tile => ({ kernel, slots: slotsOf(task, span, places) }));
  const gathered = points.flatMap((point, branch) => {
    const from = places.drows[branch];
    return point && from ? centreTiles(task, 'gather', from, output(branch)) : [];
  });
  const steps = [
    spread,
    tilesOf(rowKernel(task)),
    ...products(target, task, places, scratch),
    [...(task.skip ? tilesOf(ownKernel(task)) : []), ...mirrored(task), ...gathered],
  ].filter((tiles) => tiles.length > 0);
  const flops = 2 * points.length * outChannels * length * length;
  return { constants: [], scratchBytes: scratch.bytes(), steps, flops };
}

/** Off the diagonal, which is the skip's. */
function mirrored({ groups, length }: MergeTask): TileStep {
  return Array.from({ length: groups }, (_, group) =>
    mirrorTiles(length, { buffer: 'output1', offset: group * length * length * 4 }),
  ).flat();
}

/** dweight of a branch; its dgamma is the next output. */
function output(branch: number): BufferPlace {
  return { buffer: `output${2 + 2 * branch}`, offset: 0 };
}

/** V_iᵀ W_i and dmean_iᵀ W_i, one branch after the other, since they add to the same numbers. */
function products(
  target: VectorTarget,
  task: MergeTask,
  places: Places,
  scratch: ScratchLayout,
): readonly TileStep[] {
  const { groups, outChannels, length, points } = task;
  const perGroup = rowsPerGroup(task);
  const plain = { transposeA: false, transposeB: false, accumulate: false };
  const steps = (sizes: GemmTask, a: BufferPlace, b: BufferPlace, c: BufferPlace): readonly TileStep[] =>
    partSteps(planGemm(target, sizes), { input0: a, input1: b, output: c }, scratch);
  const parts = Array.from({ length: groups }, (_, group) => {
    const own = group * perGroup * length;
    const covariance = group * length * length;
    const each = points.map((__, branch) => ({
      rows: further(places.rows[branch] ?? input(0), own * 4),
      scaled: scratchAt((places.scaled[branch] ?? 0) + own * 4),
      dmean: scratchAt(places.dmean + (branch * outChannels + group * perGroup) * 4),
    }));
    const to: BufferPlace = { buffer: 'output1', offset: covariance * 4 };
    const dcovariance = each.flatMap(({ scaled, rows }, branch) => {
      const sizes = { length, steps: perGroup, accumulate: branch > 0, aRow: length, bRow: length };
      return upperProduct(target, { ...sizes, a: scaled, b: rows, to }, scratch);
    });
    const dmoment = each.flatMap(({ dmean, rows }, branch) => {
      const sizes = { ...plain, m: 1, n: length, k: perGroup, accumulate: branch > 0 };
      return steps(sizes, dmean, rows, { buffer: 'output', offset: group * length * 4 });
    });
    return [dcovariance, dmoment];
  });
  return stepsSideBySide(parts.flat());
}

function slotsOf(task: MergeTask, { group, first, end }: RowSpan, places: Places): readonly Slot[] {
  const { outChannels, length, taps, centre, points, skip } = task;
  const row = group * rowsPerGroup(task) + first;
  const own = first * taps + centre;
  const statistics = 1 + 3 * points.length + (skip ? 1 : 0);
  const cotangents = statistics + 2 * branchCount(task);
  const vector = (buffer: BufferPlace['buffer']): Slot => ({ buffer, offset: row * 4 });
  const ofRow = (place: BufferPlace): Slot => further(place, row * length * 4);
  const head: readonly Slot[] = [
    end - first,
    { buffer: `input${cotangents}`, offset: row * length * 4 },
    vector(`input${cotangents + 1}`),
    skip ? { buffer: `input${cotangents}`, offset: (row * length + own) * 4 } : 0,
    { buffer: 'input0', offset: group * length * 4 },
    skip ? { buffer: 'output', offset: (group * length + own) * 4 } : 0,
    skip ? { buffer: 'output1', offset: ((group * length + own) * length + own) * 4 } : 0,
  ];
  const branches = Array.from({ length: branchCount(task) }, (_, branch): readonly Slot[] => {
    const isSkip = branch === points.length;
    const number = (place: number): Slot => scratchAt(place + (branch * outChannels + row) * 4);
    return [
      vector(`input${isSkip ? 1 + 3 * branch : 2 + 3 * branch}`),
      vector(`input${statistics + 2 * branch}`),
      vector(`input${statistics + 2 * branch + 1}`),
      isSkip ? 0 : ofRow(places.rows[branch] ?? input(0)),
      vector(`output${isSkip ? 2 + 2 * branch : 3 + 2 * branch}`),
      number(places.scale),
      number(places.dmean),
      number(places.dvariance),
      isSkip ? 0 : ofRow(scratchAt(places.scaled[branch] ?? 0)),
      isSkip ? 0 : ofRow(input(3 + 3 * branch)),
      isSkip ? 0 : ofRow(places.drows[branch] ?? input(0)),
    ];
  });
  return [...head, ...branches.flat()];
}

const nameOf = ({ length, taps, points, skip, eps }: MergeTask): string =>
  `${points.length}${skip ? 'skip' : ''}_${length}t${taps}_eps${eps}`;

function rowKernel(task: MergeTask): KernelSpec {
  return {
    name: `f32_mergegrad_${nameOf(task)}`,
    generate: (a) =>
      walkRows(a, SLOT.count, (walk) => {
        for (let branch = 0; branch < branchCount(task); branch++) emitCotangents(a, task, walk, branch);
      }),
  };
}

/** dscale = <dW, W_i> − db·mean_i, and what follows from it. */
function emitCotangents(a: VectorAssembler, task: MergeTask, walk: RowWalk, branch: number): void {
  const { length, taps, points, eps } = task;
  const isSkip = branch === points.length;
  const dscale = isSkip
    ? rowNumber(a, walk, SLOT.ownDweight, (length + taps) * 4)
    : emitOwnDot(a, task, walk, branch);
  const db = rowNumber(a, walk, SLOT.dbias);
  const mean = rowNumber(a, walk, slotOf(branch, 'mean'));
  a.binary('multiply', mean, mean, db);
  a.binary('subtract', dscale, dscale, mean);
  const inverse = rowNumber(a, walk, slotOf(branch, 'variance'));
  emitInverse(a, inverse, eps);
  const scale = rowNumber(a, walk, slotOf(branch, 'gamma'));
  a.binary('multiply', scale, scale, inverse);
  a.binary('multiply', mean, dscale, inverse);
  storeNumber(a, walk, slotOf(branch, 'dgamma'), mean);
  storeNumber(a, walk, slotOf(branch, 'scale'), scale);
  a.unary('negate', db, db);
  a.binary('multiply', db, db, scale);
  storeNumber(a, walk, slotOf(branch, 'dmean'), db);
  // dvariance = −dscale·gamma·inverse³/2
  a.binary('multiply', mean, mean, scale);
  a.binary('multiply', mean, mean, inverse);
  a.constant(inverse, -0.5);
  a.binary('multiply', mean, mean, inverse);
  storeNumber(a, walk, slotOf(branch, 'dvariance'), mean);
  if (!isSkip) {
    const to = walk.pointer(slotOf(branch, 'scaled'), length * 4);
    const from = walk.pointer(slotOf(branch, 'rows'), length * 4);
    storeScaled(a, length, to, mean, from);
    a.freeInt(to, from);
    a.binary('add', mean, mean, mean);
    emitRowGradient(a, task, walk, branch, { scale, dmean: db, twice: mean });
  }
  a.freeVec(dscale, db, mean, inverse, scale);
}

function emitOwnDot(a: VectorAssembler, { length }: MergeTask, walk: RowWalk, branch: number) {
  const dweight = walk.pointer(SLOT.dweight, length * 4);
  const own = walk.pointer(slotOf(branch, 'rows'), length * 4);
  const dot = rowDot(a, length, 2, dweight, own);
  a.freeInt(dweight, own);
  return dot;
}

interface RowCotangents {
  readonly scale: Vec;
  readonly dmean: Vec;
  /** 2·dvariance */
  readonly twice: Vec;
}

/** dW_i = scale·dW + dmean·m + 2·dvariance·t */
function emitRowGradient(
  a: VectorAssembler,
  { length }: MergeTask,
  walk: RowWalk,
  branch: number,
  { scale, dmean, twice }: RowCotangents,
): void {
  const to = walk.pointer(slotOf(branch, 'drows'), length * 4);
  const dweight = walk.pointer(SLOT.dweight, length * 4);
  const product = walk.pointer(slotOf(branch, 'products'), length * 4);
  const mean = a.slot(SLOT.mean);
  const [sum, value] = [a.newVec(), a.newVec()];
  overRow(a, length, 2, [to, dweight, product, mean], (parts) => {
    for (const part of parts) {
      a.load(sum, partAt(dweight, part), part.lanes);
      a.binary('multiply', sum, sum, scale);
      a.load(value, partAt(mean, part), part.lanes);
      a.fma(sum, dmean, value);
      a.load(value, partAt(product, part), part.lanes);
      a.fma(sum, twice, value);
      a.store(partAt(to, part), sum, part.lanes);
    }
  });
  a.freeVec(sum, value);
  a.freeInt(to, dweight, product, mean);
}

function ownKernel(task: MergeTask): KernelSpec {
  return {
    name: `f32_mergegrad_skip_${nameOf(task)}`,
    generate: (a) => walkRows(a, SLOT.count, (walk) => emitOwnMoments(a, task, walk)),
  };
}

/** The skip's row is the unit vector of its own channel. */
function emitOwnMoments(a: VectorAssembler, { length, taps, points }: MergeTask, walk: RowWalk): void {
  const branch = points.length;
  const own = [
    { slot: SLOT.dmoment, bytes: taps * 4, from: slotOf(branch, 'dmean') },
    { slot: SLOT.dcovariance, bytes: taps * (length + 1) * 4, from: slotOf(branch, 'dvariance') },
  ];
  for (const { slot, bytes, from } of own) {
    const [to, value, added] = [walk.pointer(slot, bytes), a.newVec(), rowNumber(a, walk, from)];
    a.load(value, at(to), 1);
    a.binary('add', value, value, added);
    a.store(at(to), value, 1);
    a.freeVec(value, added);
    a.freeInt(to);
  }
}
