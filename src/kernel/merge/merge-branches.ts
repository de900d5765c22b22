import type { VectorTarget } from '../../assembler/vector-assembler.ts';
import type { TaskPlan } from '../plan/plan.ts';
import { planDenseMerge } from './merge-dense.ts';
import { planDenseMergeGrad } from './merge-dense-grad.ts';
import { planLoneMerge } from './merge-lone.ts';
import { planLoneMergeGrad } from './merge-lone-grad.ts';
import type { MergeTask } from './merge-task.ts';

/** Buffers as the operands and results of `mergeBranches` are numbered. */
export function planMergeBranches(target: VectorTarget, task: MergeTask): TaskPlan {
  return isLone(task) ? planLoneMerge(target, task) : planDenseMerge(target, task);
}

/** Buffers as the operands and results of `mergeBranchesGrad` are numbered. */
export function planMergeBranchesGrad(target: VectorTarget, task: MergeTask): TaskPlan {
  return isLone(task) ? planLoneMergeGrad(target, task) : planDenseMergeGrad(target, task);
}

/** Each group is one channel, in and out. */
function isLone({ groups, inner, outChannels }: MergeTask): boolean {
  return inner === 1 && groups > 1 && outChannels === groups;
}
