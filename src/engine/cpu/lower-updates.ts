import type { Node } from '../../graph/graph.ts';
import { planClipFactor } from '../../kernel/optimizer/clip-factor.ts';
import { planAdamw, planLerp, planSgd, type StepTask } from '../../kernel/optimizer/updates.ts';
import { elementCount } from '../../tensor/tensor.ts';
import { type LowerContext, shapeOf, whole } from './lowered.ts';
import type { TrainingLowerRules } from './training-rules.ts';

const countOf = (node: Node, context: LowerContext): number => elementCount(shapeOf(node, context));

/** @param inputs how many there are without a factor of gradients */
function step(node: Node, context: LowerContext, inputs: number): StepTask {
  return { count: countOf(node, context), clipped: node.inputs.length > inputs };
}

export const updateRules: TrainingLowerRules<'lerp' | 'clipFactor' | 'sgd' | 'adamw'> = {
  lerp: (node, context) => whole(node, (target) => planLerp(target, countOf(node, context), node.attrs)),
  clipFactor: (node, context) =>
    whole(node, (target) =>
      planClipFactor(
        target,
        node.inputs.map((_, i) => shapeOf(node, context, i)),
        node.attrs.maxNorm,
      ),
    ),
  sgd: (node, context) => whole(node, (target) => planSgd(target, step(node, context, 4), node.attrs)),
  adamw: (node, context) => whole(node, (target) => planAdamw(target, step(node, context, 5), node.attrs)),
};
