import type { Node } from '../../graph/graph.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { convGradientRules } from './conv-gradients.ts';
import { detectionLossRules } from './detection-loss.ts';
import { lossRules } from './losses.ts';
import { mergeRules } from './merge.ts';
import { normTrainingRules } from './norm-training.ts';
import { spatialGradientRules } from './spatial-gradients.ts';
import type { TrainingOpKind, TrainingRule, TrainingRules } from './training-rules.ts';
import { updateRules } from './updates.ts';

const trainingTable: TrainingRules = {
  ...convGradientRules,
  ...mergeRules,
  ...spatialGradientRules,
  ...normTrainingRules,
  ...lossRules,
  ...updateRules,
  ...detectionLossRules,
};

export function forwardTraining<K extends TrainingOpKind>(
  node: Node<K>,
  x: readonly Tensor[],
  y: readonly Tensor[],
): void {
  const rule: TrainingRule<K> = trainingTable[node.kind as K];
  rule(node, x, y);
}
