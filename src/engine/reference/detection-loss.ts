import type { SsdLossAttrs } from '../../graph/ops/op-attrs.ts';
import { type SsdLossInput, ssdLoss, ssdLossGradients } from '../../graph/ssd-loss.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { TrainingRules } from './training-rules.ts';

function inputOf(attrs: SsdLossAttrs, x: readonly Tensor[]): SsdLossInput {
  const [labels, offsets, ...maps] = x;
  return {
    ...attrs,
    images: labels?.shape[0] ?? 0,
    labels: labels?.data ?? [],
    offsets: offsets?.data ?? [],
    levels: Array.from({ length: Math.floor(maps.length / 2) }, (_, i) => ({
      scores: maps[2 * i]?.data ?? [],
      boxes: maps[2 * i + 1]?.data ?? [],
    })),
  };
}

export const detectionLossRules = {
  ssdLoss: ({ attrs }, x, y) => {
    const { classes, boxes } = ssdLoss(inputOf(attrs, x));
    [classes + boxes, classes, boxes].forEach((value, i) => void y[i]?.data.fill(value));
  },
  ssdLossGrad: ({ attrs }, x, y) => {
    for (const { data } of y) data.fill(0);
    const levels = Array.from({ length: y.length / 2 }, (_, i) => ({
      scores: y[2 * i]?.data ?? [],
      boxes: y[2 * i + 1]?.data ?? [],
    }));
    ssdLossGradients(inputOf(attrs, x.slice(0, -1)), x.at(-1)?.data[0] ?? 0, levels);
  },
} satisfies Pick<TrainingRules, 'ssdLoss' | 'ssdLossGrad'>;
