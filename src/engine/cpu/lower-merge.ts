import type { Node } from '../../graph/graph.ts';
import { planMergeBranches, planMergeBranchesGrad } from '../../kernel/merge/merge-branches.ts';
import { type MergeTask, mergedConvolutions, mergeTask } from '../../kernel/merge/merge-task.ts';
import { planPatchMoments, planPatchMomentsGrad } from '../../kernel/merge/patch-moments.ts';
import { type LowerContext, shapeOf, whole } from './lowered.ts';
import type { TrainingLowerRules } from './training-rules.ts';

/** @param first where the first convolution's weight is; each has two more operands */
function taskOf(
  node: Node<'mergeBranches' | 'mergeBranchesGrad'>,
  context: LowerContext,
  first: number,
): MergeTask {
  const count = mergedConvolutions(node);
  const weights = Array.from({ length: count }, (_, i) => shapeOf(node, context, first + 3 * i));
  return mergeTask(node.attrs, weights);
}

export const mergeRules: TrainingLowerRules<
  'patchMoments' | 'patchMomentsGrad' | 'mergeBranches' | 'mergeBranchesGrad'
> = {
  patchMoments: (node, context) =>
    whole(node, (target) =>
      planPatchMoments(target, shapeOf(node, context), node.attrs.geometry, context.rounded),
    ),
  patchMomentsGrad: (node, context) =>
    whole(node, (target) =>
      planPatchMomentsGrad(target, shapeOf(node, context), node.attrs.geometry, context.rounded),
    ),
  mergeBranches: (node, context) =>
    whole(node, (target) => planMergeBranches(target, taskOf(node, context, 2))),
  mergeBranchesGrad: (node, context) =>
    whole(node, (target) => planMergeBranchesGrad(target, taskOf(node, context, 1))),
};
