import type { Node } from '../../graph/graph.ts';
import { planMergeBranches, planMergeBranchesGrad } from '../../kernel/merge/merge-branches.ts';
import { type MergeTask, mergedConvolutions, mergeTask } from '../../kernel/merge/merge-task.ts';
import { planPatchMoments, planPatchMomentsGrad } from '../../kernel/merge/patch-moments.ts';
import { type LowerContext, shapeOf, whole } from './lowered.ts';
import type { TrainingLowerRules } from './training-rules.ts';

/** @param per operands of each convolution */
function taskOf(
  node: Node<'mergeBranches' | 'mergeBranchesGrad'>,
  context: LowerContext,
  per: 2 | 3,
): MergeTask {
  const count = mergedConvolutions(node);
  const weights = Array.from({ length: count }, (_, i) => shapeOf(node, context, 2 + per * i));
  return mergeTask(node.attrs, weights);
}

export const mergeRules: TrainingLowerRules<
  'patchMoments' | 'patchMomentsGrad' | 'mergeBranches' | 'mergeBranchesGrad'
> = {
  patchMoments: (node, context) =>
    whole(node, (target) => planPatchMoments(target, shapeOf(node, context), node.attrs.geometry)),
  patchMomentsGrad: (node, context) =>
    whole(node, (target) => planPatchMomentsGrad(target, shapeOf(node, context), node.attrs.geometry)),
  mergeBranches: (node, context) =>
    whole(node, (target) => planMergeBranches(target, taskOf(node, context, 3))),
  mergeBranchesGrad: (node, context) =>
    whole(node, (target) => planMergeBranchesGrad(target, taskOf(node, context, 2))),
};
