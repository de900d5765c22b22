import { EngineError } from '../../errors.ts';
import type { Node } from '../../graph/graph.ts';
import { elementCount } from '../../tensor/tensor.ts';
import { convGradientRules } from './lower-conv-gradients.ts';
import { mergeRules } from './lower-merge.ts';
import { normTrainingRules } from './lower-norm-training.ts';
import { spatialGradientRules } from './lower-spatial-gradients.ts';
import { input, type LowerContext, type Lowered } from './lowered.ts';
import type { TrainingLowerRule, TrainingLowerRules, TrainingOpKind } from './training-rules.ts';

const lowerTable: Partial<TrainingLowerRules> = {
  ...convGradientRules,
  constant: ({ attrs: { shape, value } }) => ({
    kind: 'known',
    tensor: { shape, data: new Float32Array(elementCount(shape)).fill(value) },
  }),
  ...normTrainingRules,
  ...spatialGradientRules,
  ...mergeRules,
  reshape: (node) => ({ kind: 'alias', source: input(node) }),
};

export function lowerTraining<K extends TrainingOpKind>(node: Node<K>, context: LowerContext): Lowered {
  const rule: TrainingLowerRule<K> | undefined = lowerTable[node.kind as K];
  if (rule === undefined) throw new EngineError(`engine cpu: ${node.kind} "${node.name}" is unknown.`);
  return rule(node, context);
}
