import { EngineError } from '../../errors.ts';
import type { Node } from '../../graph/graph.ts';
import { convGradientRules } from './lower-conv-gradients.ts';
import { detectionLossRules } from './lower-detection-loss.ts';
import { elementTrainingRules } from './lower-element-training.ts';
import { lossRules } from './lower-losses.ts';
import { mergeRules } from './lower-merge.ts';
import { normTrainingRules } from './lower-norm-training.ts';
import { spatialGradientRules } from './lower-spatial-gradients.ts';
import { updateRules } from './lower-updates.ts';
import type { LowerContext, Lowered } from './lowered.ts';
import type { TrainingLowerRule, TrainingLowerRules, TrainingOpKind } from './training-rules.ts';

const lowerTable: Partial<TrainingLowerRules> = {
  ...elementTrainingRules,
  ...convGradientRules,
  ...detectionLossRules,
  ...normTrainingRules,
  ...spatialGradientRules,
  ...mergeRules,
  ...lossRules,
  ...updateRules,
};

export function lowerTraining<K extends TrainingOpKind>(node: Node<K>, context: LowerContext): Lowered {
  const rule: TrainingLowerRule<K> | undefined = lowerTable[node.kind as K];
  if (rule === undefined) throw new EngineError(`engine cpu: ${node.kind} "${node.name}" is unknown.`);
  return rule(node, context);
}
