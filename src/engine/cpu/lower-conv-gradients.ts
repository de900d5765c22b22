import { planGemm } from '../../kernel/gemm.ts';
import { shapeOf, whole } from './lowered.ts';
import type { TrainingLowerRules } from './training-rules.ts';

export const convGradientRules: TrainingLowerRules<'matmul'> = {
  matmul: (node, context) => {
    const { transposeA, transposeB } = node.attrs;
    const [a, b] = [shapeOf(node, context), shapeOf(node, context, 1)];
    const [m = 0, k = 0] = transposeA ? a.toReversed() : a;
    const n = b[transposeB ? 0 : 1] ?? 0;
    return whole(node, (target) => planGemm(target, { m, n, k, transposeA, transposeB, accumulate: false }));
  },
};
