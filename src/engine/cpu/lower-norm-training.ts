import { planChannelSum } from '../../kernel/norm/channel-sum.ts';
import { planNormSum } from '../../kernel/norm/norm-sum.ts';
import { planNormSumGrad } from '../../kernel/norm/norm-sum-grad.ts';
import { shapeOf, whole } from './lowered.ts';
import type { TrainingLowerRules } from './training-rules.ts';

export const normTrainingRules: TrainingLowerRules<'normSum' | 'normSumGrad' | 'channelSum'> = {
  normSum: (node, context) => {
    const branches = node.inputs.length / 3;
    return whole(node, (target) =>
      planNormSum(target, { shape: shapeOf(node, context), branches, ...node.attrs }),
    );
  },
  normSumGrad: (node, context) => {
    const branches = Math.floor((node.inputs.length - 1) / 4);
    // dx may lie where x was: memory that is just read is quickest to write.
    const inPlace = node.outputs.map((_, i) => (i % 2 === 1 ? [2 * i - 1] : []));
    return whole(
      node,
      (target) => planNormSumGrad(target, { shape: shapeOf(node, context), branches, ...node.attrs }),
      inPlace,
    );
  },
  channelSum: (node, context) => whole(node, (target) => planChannelSum(target, shapeOf(node, context))),
};
