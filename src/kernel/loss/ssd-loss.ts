import type { SsdLossAttrs } from '../../graph/ops/op-attrs.ts';
import { type SsdLossInput, ssdLoss, ssdLossGradients } from '../../graph/ssd-loss.ts';
import type { HostWork, TaskPlan } from '../plan/plan.ts';

/** Choosing the hardest anchors is sorting: JavaScript does it in a few milliseconds a batch. */
const hostPlan = (host: HostWork): TaskPlan => ({
  constants: [],
  scratchBytes: 0,
  steps: [],
  host,
  flops: 0,
});

const none = new Float32Array(0);

function inputOf(attrs: SsdLossAttrs, images: number, x: readonly Float32Array[]): SsdLossInput {
  const [labels = none, offsets = none, ...maps] = x;
  return { ...attrs, images, labels, offsets, levels: pairs(maps) };
}

function pairs(maps: readonly Float32Array[]): { scores: Float32Array; boxes: Float32Array }[] {
  return Array.from({ length: Math.floor(maps.length / 2) }, (_, i) => ({
    scores: maps[2 * i] ?? none,
    boxes: maps[2 * i + 1] ?? none,
  }));
}

/** Buffers: labels, offsets, (scores, boxes) × maps → loss, classes, boxes. */
export function planSsdLoss(attrs: SsdLossAttrs, images: number): TaskPlan {
  return hostPlan((x, y) => {
    const { classes, boxes } = ssdLoss(inputOf(attrs, images, x));
    [classes + boxes, classes, boxes].forEach((value, i) => void y[i]?.fill(value));
  });
}

/** Buffers: labels, offsets, (scores, boxes) × maps, dloss → (dscores, dboxes) × maps. */
export function planSsdLossGrad(attrs: SsdLossAttrs, images: number): TaskPlan {
  return hostPlan((x, y) => {
    for (const gradient of y) gradient.fill(0);
    ssdLossGradients(inputOf(attrs, images, x.slice(0, -1)), x.at(-1)?.[0] ?? 0, pairs(y));
  });
}
