import { planSliceChannels } from '../../kernel/copy/slice-channels.ts';
import { planSoftmaxGradient } from '../../kernel/loss/softmax-gradient.ts';
import { planPool2dGradient } from '../../kernel/pool/pool2d-gradient.ts';
import { planResizeBilinearGradient } from '../../kernel/pool/resize-bilinear-gradient.ts';
import { planSpatialDot } from '../../kernel/pool/spatial-sum.ts';
import { planSpread } from '../../kernel/pool/spread.ts';
import { shapeOf, whole } from './lowered.ts';
import type { TrainingLowerRules } from './training-rules.ts';

/** What leads back through pools, gates, resizing and softmax. */
export const spatialGradientRules = {
  sliceChannels: (node, context) =>
    whole(node, (target) => planSliceChannels(target, { input: shapeOf(node, context), ...node.attrs })),
  spatialDot: (node, context) => whole(node, (target) => planSpatialDot(target, shapeOf(node, context))),
  globalAveragePoolGrad: (node, context) => {
    const [n = 1, , , channels = 1] = shapeOf(node, context);
    const { height, width } = node.attrs;
    return whole(node, (target) => planSpread(target, [n, height, width, channels]));
  },
  pool2dGrad: (node, context) =>
    whole(node, (target) => planPool2dGradient(target, { input: shapeOf(node, context, 1), ...node.attrs })),
  resizeBilinearGrad: (node, context) =>
    whole(node, (target) =>
      planResizeBilinearGradient(target, { input: shapeOf(node, context), ...node.attrs }),
    ),
  softmaxGrad: (node, context) =>
    whole(node, (target) => planSoftmaxGradient(target, shapeOf(node, context))),
} as const satisfies Partial<TrainingLowerRules>;
