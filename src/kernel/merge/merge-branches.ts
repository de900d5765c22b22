import type { VectorTarget } from '../../assembler/vector-assembler.ts';
import type { TaskPlan } from '../plan.ts';
import { planDenseMerge } from './merge-dense.ts';
import { planDenseMergeGrad } from './merge-dense-grad.ts';
import type { MergeTask } from './merge-task.ts';

/** Buffers as the operands and results of `mergeBranches` are numbered. */
export function planMergeBranches(target: VectorTarget, task: MergeTask): TaskPlan {
  return planDenseMerge(target, task);
}

/** Buffers as the operands and results of `mergeBranchesGrad` are numbered. */
export function planMergeBranchesGrad(target: VectorTarget, task: MergeTask): TaskPlan {
  return planDenseMergeGrad(target, task);
}
