import { planInputGrad, planWeightGrad } from '../../kernel/convolution/conv-gradients.ts';
import { planGemm } from '../../kernel/product/gemm.ts';
import { shapeOf, whole } from './lowered.ts';
import type { TrainingLowerRules } from './training-rules.ts';

export const convGradientRules: TrainingLowerRules<'conv2dInputGrad' | 'conv2dWeightGrad' | 'matmul'> = {
  conv2dInputGrad: (node, context) => {
    const { geometry, height, width } = node.attrs;
    const [images = 0] = shapeOf(node, context);
    const [outChannels = 0, inner = 0] = shapeOf(node, context, 1);
    const task = {
      input: [images, height, width, inner * geometry.groups],
      outChannels,
      geometry,
      rounded: context.rounded,
    };
    return {
      kind: 'whole',
      sources: node.inputs,
      plan: (target) => planInputGrad(target, task),
      inputGrad: task,
    };
  },
  conv2dWeightGrad: (node, context) => {
    const { geometry } = node.attrs;
    const input = shapeOf(node, context);
    const outChannels = shapeOf(node, context, 1).at(-1) ?? 0;
    const { rounded } = context;
    return whole(node, (target) => planWeightGrad(target, { input, outChannels, geometry, rounded }));
  },
  matmul: (node, context) => {
    const { transposeA, transposeB } = node.attrs;
    const [a, b] = [shapeOf(node, context), shapeOf(node, context, 1)];
    const [m = 0, k = 0] = transposeA ? a.toReversed() : a;
    const n = b[transposeB ? 0 : 1] ?? 0;
    const task = { m, n, k, transposeA, transposeB, accumulate: false, rounded: context.rounded };
    return whole(node, (target) => planGemm(target, task));
  },
};
