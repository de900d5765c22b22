import { planPatchMoments } from '../../kernel/merge/patch-moments.ts';
import { shapeOf, whole } from './lowered.ts';
import type { TrainingLowerRules } from './training-rules.ts';

export const mergeRules: TrainingLowerRules<'patchMoments'> = {
  patchMoments: (node, context) =>
    whole(node, (target) => planPatchMoments(target, shapeOf(node, context), node.attrs.geometry)),
};
