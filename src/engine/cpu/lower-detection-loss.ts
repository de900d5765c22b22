import { planSsdLoss, planSsdLossGrad } from '../../kernel/loss/ssd-loss.ts';
import { shapeOf, whole } from './lowered.ts';
import type { TrainingLowerRules } from './training-rules.ts';

export const detectionLossRules = {
  ssdLoss: (node, context) => whole(node, () => planSsdLoss(node.attrs, shapeOf(node, context)[0] ?? 0)),
  ssdLossGrad: (node, context) =>
    whole(node, () => planSsdLossGrad(node.attrs, shapeOf(node, context)[0] ?? 0)),
} satisfies Pick<TrainingLowerRules, 'ssdLoss' | 'ssdLossGrad'>;
