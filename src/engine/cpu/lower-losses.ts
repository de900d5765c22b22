import {
  planBinaryCrossEntropy,
  planBinaryCrossEntropyGrad,
} from '../../kernel/loss/binary-cross-entropy.ts';
import { planCrossEntropy, planCrossEntropyGrad } from '../../kernel/loss/cross-entropy.ts';
import { elementCount } from '../../tensor/tensor.ts';
import { shapeOf, whole } from './lowered.ts';
import type { TrainingLowerRules } from './training-rules.ts';

export const lossRules: TrainingLowerRules<
  'crossEntropy' | 'crossEntropyGrad' | 'binaryCrossEntropy' | 'binaryCrossEntropyGrad'
> = {
  crossEntropy: (node, context) =>
    whole(node, (target) => planCrossEntropy(target, { shape: shapeOf(node, context), ...node.attrs })),
  crossEntropyGrad: (node, context) =>
    whole(node, (target) => planCrossEntropyGrad(target, { shape: shapeOf(node, context), ...node.attrs })),
  binaryCrossEntropy: (node, context) =>
    whole(node, (target) => planBinaryCrossEntropy(target, elementCount(shapeOf(node, context)))),
  binaryCrossEntropyGrad: (node, context) =>
    whole(node, (target) => planBinaryCrossEntropyGrad(target, elementCount(shapeOf(node, context)))),
};
