/** Branches of a depthwise block as one convolution: channels in the lanes, everything of a channel in one block. */
import {
  at,
  type Int,
  type Vec,
  type VectorAssembler,
  type VectorTarget,
} from '../../assembler/vector-assembler.ts';
import type { BufferPlace, KernelSpec, TaskPlan, Tile } from '../plan/plan.ts';
import { scratchLayout } from '../plan/scratch-layout.ts';
import { spans } from '../plan/split-work.ts';
import { blockAt, fromBlocks, intoBlocks, laneBlocks } from './lane-blocks.ts';
import { emitInverse } from './merge-rows.ts';
import { branchCount, type MergeTask } from './merge-task.ts';

/** Vectors of channels that a tile takes. */
const VECTORS_A_TILE = 2;

/** How many numbers a channel has in a branch: all taps, the centre, or none. */
export function branchTaps({ points, taps }: MergeTask, branch: number): number {
  const point = points[branch];
  return point === undefined ? 0 : point ? 1 : taps;
}

/** A matrix [channels][columns] and the first of its rows in a block. */
export interface BlockPart {
  readonly place: BufferPlace;
  readonly columns: number;
  readonly row: number;
}

/** Lays parts out in a block, one after the other. */
export function blockParts(): {
  readonly add: (buffer: BufferPlace['buffer'], columns: number) => number;
  readonly parts: BlockPart[];
  readonly rows: () => number;
} {
  const parts: BlockPart[] = [];
  let rows = 0;
  return {
    add: (buffer, columns) => {
      const row = rows;
      if (columns > 0) parts.push({ place: { buffer, offset: 0 }, columns, row });
      rows += columns;
      return row;
    },
    parts,
    rows: () => rows,
  };
}

/** Rows of a branch in the block of operands and in that of results. */
interface BranchRows {
  readonly weight: number;
  readonly gamma: number;
  readonly beta: number;
  readonly mean: number;
  readonly variance: number;
  readonly products: number;
}

export function planLoneMerge(target: VectorTarget, task: MergeTask): TaskPlan {
  const { outChannels, taps, points, skip } = task;
  const [given, made] = [blockParts(), blockParts()];
  given.add('input0', taps);
  given.add('input1', taps * taps);
  made.add('output', taps);
  made.add('output1', 1);
  const branches = Array.from({ length: branchCount(task) }, (_, branch): BranchRows => {
    const first = 2 + 3 * branch;
    const vectors = branch === points.length ? first : first + 1;
    return {
      weight: given.add(`input${first}`, branchTaps(task, branch)),
      gamma: given.add(`input${vectors}`, 1),
      beta: given.add(`input${vectors + 1}`, 1),
      mean: made.add(`output${2 + 2 * branch}`, 1),
      variance: made.add(`output${3 + 2 * branch}`, 1),
      products: branch === points.length ? 0 : made.add(`output${2 + 2 * branchCount(task) + branch}`, taps),
    };
  });
  const kernel: KernelSpec = {
    name: `f32_lonemerge_t${taps}_${points.map((point) => (point ? 'p' : 'f')).join('')}${skip ? 's' : ''}_eps${task.eps}`,
    generate: (a) => emitMerge(a, task, branches, [given.rows(), made.rows()]),
  };
  const flops = 2 * points.length * outChannels * taps * taps;
  return loneAlgebra(target, outChannels, { given, made, kernel, flops });
}

export interface LoneAlgebra {
  readonly given: ReturnType<typeof blockParts>;
  readonly made: ReturnType<typeof blockParts>;
  /** Slots: the first block of operands and of results, and how many blocks. */
  readonly kernel: KernelSpec;
  readonly flops: number;
}

/** Operands into blocks, the algebra of each, and results out of them. */
export function loneAlgebra(
  target: VectorTarget,
  channels: number,
  { given, made, kernel, flops }: LoneAlgebra,
): TaskPlan {
  const scratch = scratchLayout();
  const from = laneBlocks(channels, target.lanes, given.rows(), scratch.take);
  const to = laneBlocks(channels, target.lanes, made.rows(), scratch.take);
  const into = given.parts.flatMap(({ place, columns, row }) => intoBlocks(from, place, columns, row));
  const out = made.parts.flatMap(({ place, columns, row }) => fromBlocks(to, place, columns, row));
  const algebra = spans(from.vectors, Math.ceil(from.vectors / VECTORS_A_TILE)).map(
    ({ first, end }): Tile => ({ kernel, slots: [blockAt(from, first), blockAt(to, first), end - first] }),
  );
  return { constants: [], scratchBytes: scratch.bytes(), steps: [into, algebra, out], flops };
}

/** A block's pointers, which move from vector to vector. */
export function overBlocks(
  a: VectorAssembler,
  [givenRows, madeRows]: readonly [number, number],
  body: (given: Int, made: Int) => void,
): void {
  const [given, made, vectors] = [a.slot(1), a.slot(2), a.slot(3)];
  a.loop(vectors, () => {
    body(given, made);
    a.addInt(given, givenRows * a.lanes * 4);
    a.addInt(made, madeRows * a.lanes * 4);
  });
  a.freeInt(given, made, vectors);
}

export function emitZeroRows(a: VectorAssembler, block: Int, first: number, rows: number): void {
  const [zero, to] = [a.newVec(), a.newInt()];
  a.zero(zero);
  a.moveInt(to, block);
  a.addInt(to, first * a.lanes * 4);
  a.loop(rows, () => {
    a.store(at(to), zero);
    a.addInt(to, a.lanes * 4);
  });
  a.freeVec(zero);
  a.freeInt(to);
}

/** row += factor·other */
export function addToRow(a: VectorAssembler, block: Int, row: number, factor: Vec, other: Vec): void {
  const sum = a.newVec();
  a.load(sum, at(block, row * a.lanes * 4));
  a.fma(sum, factor, other);
  a.store(at(block, row * a.lanes * 4), sum);
  a.freeVec(sum);
}

export function loadRow(a: VectorAssembler, block: Int, row: number): Vec {
  const value = a.newVec();
  a.load(value, at(block, row * a.lanes * 4));
  return value;
}

function emitMerge(
  a: VectorAssembler,
  task: MergeTask,
  branches: readonly BranchRows[],
  rows: readonly [number, number],
): void {
  const { taps, centre, eps } = task;
  const vecBytes = a.lanes * 4;
  overBlocks(a, rows, (given, made) => {
    emitZeroRows(a, made, 0, taps + 1);
    branches.forEach((branch, i) => {
      const own = branchTaps(task, i);
      const { mean, variance } =
        own === taps && taps > 1
          ? emitFullStatistics(a, taps, branch, given, made)
          : emitCentreStatistics(a, task, own === 0 ? undefined : branch, given, made);
      a.store(at(made, branch.mean * vecBytes), mean);
      a.store(at(made, branch.variance * vecBytes), variance);
      emitInverse(a, variance, eps);
      a.binary('multiply', variance, variance, at(given, branch.gamma * vecBytes));
      const bias = loadRow(a, made, taps);
      a.binary('add', bias, bias, at(given, branch.beta * vecBytes));
      a.binary('multiply', mean, mean, variance);
      a.binary('subtract', bias, bias, mean);
      a.store(at(made, taps * vecBytes), bias);
      for (let t = 0; t < Math.max(1, own); t++) {
        const weight = own === 0 ? undefined : loadRow(a, given, branch.weight + t);
        const to = own === taps ? t : centre;
        a.load(bias, at(made, to * vecBytes));
        if (weight === undefined) a.binary('add', bias, bias, variance);
        else {
          a.fma(bias, variance, weight);
          a.freeVec(weight);
        }
        a.store(at(made, to * vecBytes), bias);
      }
      a.freeVec(mean, variance, bias);
    });
  });
}

interface Statistics {
  readonly mean: Vec;
  readonly variance: Vec;
}

/** Of a weight at all taps: mean = Σ w_t m_t, variance = Σ w_t S_tu w_u. */
function emitFullStatistics(
  a: VectorAssembler,
  taps: number,
  { weight, products }: BranchRows,
  given: Int,
  made: Int,
): Statistics {
  const [mean, variance, sum] = [a.newVec(), a.newVec(), a.newVec()];
  const [own, row, first, to] = [a.newInt(), a.newInt(), a.newInt(), a.newInt()];
  const vecBytes = a.lanes * 4;
  a.zero(mean);
  a.zero(variance);
  a.moveInt(own, given);
  a.moveInt(row, given);
  a.addInt(row, taps * vecBytes);
  a.moveInt(first, given);
  a.moveInt(to, made);
  a.loop(taps, () => {
    const value = loadRow(a, own, weight);
    a.fma(mean, value, at(first));
    emitRowSum(a, taps, sum, row, given, weight);
    a.fma(variance, value, sum);
    a.store(at(to, products * vecBytes), sum);
    a.freeVec(value);
    for (const pointer of [own, first, to]) a.addInt(pointer, vecBytes);
    a.addInt(row, taps * vecBytes);
  });
  a.freeInt(own, row, first, to);
  a.freeVec(sum);
  return { mean, variance };
}

/** sum = Σ_u S_tu w_u, S's row t at `row`. */
function emitRowSum(a: VectorAssembler, taps: number, sum: Vec, row: Int, given: Int, weight: number): void {
  const vecBytes = a.lanes * 4;
  a.zero(sum);
  const other = a.newVec();
  for (let u = 0; u < taps; u++) {
    a.load(other, at(given, (weight + u) * vecBytes));
    a.fma(sum, other, at(row, u * vecBytes));
  }
  a.freeVec(other);
}

/** Of a weight at the centre alone, or of the input itself. */
function emitCentreStatistics(
  a: VectorAssembler,
  { taps, centre }: MergeTask,
  branch: BranchRows | undefined,
  given: Int,
  made: Int,
): Statistics {
  const row = taps + centre * taps;
  const mean = loadRow(a, given, centre);
  const variance = loadRow(a, given, row + centre);
  if (branch === undefined) return { mean, variance };
  const [weight, product] = [loadRow(a, given, branch.weight), a.newVec()];
  for (let t = 0; t < taps; t++) {
    a.binary('multiply', product, weight, at(given, (row + t) * a.lanes * 4));
    a.store(at(made, (branch.products + t) * a.lanes * 4), product);
  }
  a.binary('multiply', mean, mean, weight);
  a.binary('multiply', variance, variance, weight);
  a.binary('multiply', variance, variance, weight);
  a.freeVec(weight, product);
  return { mean, variance };
}
