import type { Node } from '../../graph/graph.ts';
import { convGradientRules } from './lower-conv-gradients.ts';
import { detectionLossRules } from './lower-detection-loss.ts';
import { elementTrainingRules } from './lower-element-training.ts';
import { lossRules } from './lower-losses.ts';
import { mergeRules } from './lower-merge.ts';
import { normTrainingRules } from './lower-norm-training.ts';
import { spatialGradientRules } from './lower-spatial-gradients.ts';
import { updateRules } from './lower-updates.ts';
import type { LowerContext, Lowered, LowerTraining } from './lowered.ts';
import type { TrainingLowerRule, TrainingLowerRules, TrainingOpKind } from './training-rules.ts';

const lowerTable: TrainingLowerRules = {
  ...elementTrainingRules,
  ...convGradientRules,
  ...detectionLossRules,
  ...normTrainingRules,
  ...spatialGradientRules,
  ...mergeRules,
  ...lossRules,
  ...updateRules,
};

/** Looks a node's row up by kind. */
export const lowerTraining: LowerTraining = (node, context) => lowerRow(node, context);

function lowerRow<K extends TrainingOpKind>(node: Node<K>, context: LowerContext): Lowered {
  const rule: TrainingLowerRule<K> = lowerTable[node.kind as K];
  return rule(node, context);
}
