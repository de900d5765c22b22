/** The gradient of merging a depthwise block: channels in the lanes. merge-dense-grad.ts has the formulas. */

import {
  at,
  type Int,
  type Vec,
  type VectorAssembler,
  type VectorTarget,
} from '../../assembler/vector-assembler.ts';
import type { KernelSpec, TaskPlan } from '../plan/plan.ts';
import { zeroed } from '../vector/emit.ts';
import {
  addToRow,
  blockParts,
  branchTaps,
  emitZeroRows,
  loadRow,
  loneAlgebra,
  overBlocks,
} from './merge-lone.ts';
import { emitInverse } from './merge-rows.ts';
import { branchCount, type MergeTask } from './merge-task.ts';

/** Rows of a branch: operands in one block, results in the other. */
interface BranchRows {
  readonly weight: number;
  readonly gamma: number;
  readonly products: number;
  readonly mean: number;
  readonly variance: number;
  readonly dweight: number;
  readonly dgamma: number;
}

/** Rows of what all branches share. */
interface SharedRows {
  readonly dweight: number;
  readonly dbias: number;
}

export function planLoneMergeGrad(target: VectorTarget, task: MergeTask): TaskPlan {
  const { outChannels, taps, points, skip, eps } = task;
  const [given, made] = [blockParts(), blockParts()];
  given.add('input0', taps);
  made.add('output', taps);
  made.add('output1', taps * taps);
  const statistics = 1 + 3 * points.length + (skip ? 1 : 0);
  const cotangents = statistics + 2 * branchCount(task);
  const branches = Array.from({ length: branchCount(task) }, (_, branch): BranchRows => {
    const [own, isSkip] = [1 + 3 * branch, branch === points.length];
    const [made0, count] = [2 + 2 * branch, branchTaps(task, branch)];
    return {
      weight: given.add(`input${own}`, count),
      gamma: given.add(`input${isSkip ? own : own + 1}`, 1),
      products: isSkip ? 0 : given.add(`input${own + 2}`, taps),
      mean: given.add(`input${statistics + 2 * branch}`, 1),
      variance: given.add(`input${statistics + 2 * branch + 1}`, 1),
      dweight: made.add(`output${made0}`, count),
      dgamma: made.add(`output${isSkip ? made0 : made0 + 1}`, 1),
    };
  });
  const shared: SharedRows = {
    dweight: given.add(`input${cotangents}`, taps),
    dbias: given.add(`input${cotangents + 1}`, 1),
  };
  const kernel: KernelSpec = {
    name: `f32_lonemergegrad_t${taps}_${points.map((point) => (point ? 'p' : 'f')).join('')}${skip ? 's' : ''}_eps${eps}`,
    generate: (a) =>
      overBlocks(a, [given.rows(), made.rows()], (from, to) => {
        emitZeroRows(a, to, 0, taps + taps * taps);
        branches.forEach((branch, i) => void emitBranch(a, task, i, branch, shared, from, to));
      }),
  };
  const flops = 4 * points.length * outChannels * taps * taps;
  return loneAlgebra(target, outChannels, { given, made, kernel, flops });
}

/** Cotangents of a branch's scale, mean and variance, and the scale. */
interface Cotangents {
  readonly scale: Vec;
  readonly dmean: Vec;
  readonly dvariance: Vec;
}

function emitBranch(
  a: VectorAssembler,
  task: MergeTask,
  index: number,
  branch: BranchRows,
  shared: SharedRows,
  given: Int,
  made: Int,
): void {
  const { taps, centre, eps } = task;
  const own = branchTaps(task, index);
  const vecBytes = a.lanes * 4;
  const dscale = zeroed(a);
  for (let t = 0; t < Math.max(1, own); t++) {
    const dweight = loadRow(a, given, shared.dweight + (own === taps ? t : centre));
    if (own === 0) a.binary('add', dscale, dscale, dweight);
    else a.fma(dscale, dweight, at(given, (branch.weight + t) * vecBytes));
    a.freeVec(dweight);
  }
  const dmean = loadRow(a, given, shared.dbias);
  const scratch = loadRow(a, given, branch.mean);
  a.binary('multiply', scratch, scratch, dmean);
  a.binary('subtract', dscale, dscale, scratch);
  const inverse = loadRow(a, given, branch.variance);
  emitInverse(a, inverse, eps);
  const scale = loadRow(a, given, branch.gamma);
  a.binary('multiply', scale, scale, inverse);
  a.binary('multiply', dscale, dscale, inverse);
  a.store(at(made, branch.dgamma * vecBytes), dscale);
  a.unary('negate', dmean, dmean);
  a.binary('multiply', dmean, dmean, scale);
  // dvariance = −dscale·gamma·inverse³/2
  a.binary('multiply', dscale, dscale, scale);
  a.binary('multiply', dscale, dscale, inverse);
  a.constant(inverse, -0.5);
  a.binary('multiply', dscale, dscale, inverse);
  a.freeVec(scratch, inverse);
  const cotangents: Cotangents = { scale, dmean, dvariance: dscale };
  if (own === taps && taps > 1) emitFullGrad(a, task, branch, shared, cotangents, given, made);
  else emitCentreGrad(a, task, own > 0, branch, shared, cotangents, given, made);
  a.freeVec(scale, dmean, dscale);
}

function emitFullGrad(
  a: VectorAssembler,
  { taps }: MergeTask,
  branch: BranchRows,
  shared: SharedRows,
  { scale, dmean, dvariance }: Cotangents,
  given: Int,
  made: Int,
): void {
  const vecBytes = a.lanes * 4;
  const [sum, twice] = [a.newVec(), a.newVec()];
  a.binary('add', twice, dvariance, dvariance);
  // Rows of tap t: `own` in the operands, `to` in the results; `drow` is row t of dS.
  const [own, to, drow] = [a.newInt(), a.newInt(), a.newInt()];
  a.moveInt(own, given);
  a.moveInt(to, made);
  a.moveInt(drow, made);
  a.addInt(drow, taps * vecBytes);
  a.loop(taps, () => {
    const weight = loadRow(a, own, branch.weight);
    addToRow(a, to, 0, dmean, weight);
    a.binary('multiply', sum, twice, at(own, branch.products * vecBytes));
    a.fma(sum, scale, at(own, shared.dweight * vecBytes));
    a.fma(sum, dmean, at(own));
    a.store(at(to, branch.dweight * vecBytes), sum);
    a.binary('multiply', weight, weight, dvariance);
    const other = a.newVec();
    for (let u = 0; u < taps; u++) {
      a.load(other, at(given, (branch.weight + u) * vecBytes));
      addToRow(a, drow, u, weight, other);
    }
    a.freeVec(other, weight);
    for (const pointer of [own, to]) a.addInt(pointer, vecBytes);
    a.addInt(drow, taps * vecBytes);
  });
  a.freeInt(own, to, drow);
  a.freeVec(sum, twice);
}

function emitCentreGrad(
  a: VectorAssembler,
  { taps, centre }: MergeTask,
  hasWeight: boolean,
  branch: BranchRows,
  shared: SharedRows,
  { scale, dmean, dvariance }: Cotangents,
  given: Int,
  made: Int,
): void {
  const vecBytes = a.lanes * 4;
  const variance = taps + centre * taps + centre;
  const weight = hasWeight ? loadRow(a, given, branch.weight) : a.newVec();
  if (!hasWeight) a.constant(weight, 1);
  addToRow(a, made, centre, dmean, weight);
  const product = a.newVec();
  a.binary('multiply', product, dvariance, weight);
  addToRow(a, made, variance, product, weight);
  if (hasWeight) {
    // dW = scale·dW_c + dmean·m_c + 2·dvariance·t_c
    a.binary('add', product, dvariance, dvariance);
    a.binary('multiply', product, product, at(given, (branch.products + centre) * vecBytes));
    a.fma(product, scale, at(given, (shared.dweight + centre) * vecBytes));
    a.fma(product, dmean, at(given, centre * vecBytes));
    a.store(at(made, branch.dweight * vecBytes), product);
  }
  a.freeVec(weight, product);
}
