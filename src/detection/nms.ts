import type { Corners } from './anchors.ts';

/**
 * Greedy non-maximum suppression: the surest box stays, those that overlap it by more than `iou` go, and so on.
 * @param candidates indices of boxes, the surest first
 * @returns those that stay, the surest first
 */
export function suppress(boxes: Corners, candidates: ArrayLike<number>, iou: number): number[] {
  const kept: number[] = [];
  // Corners and area of each that stays.
  const stays = new Float64Array(5 * candidates.length);
  for (let c = 0; c < candidates.length; c++) {
    const index = candidates[c] ?? 0;
    const i = 4 * index;
    const [x1, y1, x2, y2] = [boxes[i] ?? 0, boxes[i + 1] ?? 0, boxes[i + 2] ?? 0, boxes[i + 3] ?? 0];
    const area = (x2 - x1) * (y2 - y1);
    const end = 5 * kept.length;
    let at = 0;
    for (; at < end; at += 5) {
      const width = Math.min(x2, stays[at + 2] ?? 0) - Math.max(x1, stays[at] ?? 0);
      const height = Math.min(y2, stays[at + 3] ?? 0) - Math.max(y1, stays[at + 1] ?? 0);
      if (width <= 0 || height <= 0) continue;
      const common = width * height;
      if (common / (area + (stays[at + 4] ?? 0) - common) > iou) break;
    }
    if (at < end) continue;
    stays[end] = x1;
    stays[end + 1] = y1;
    stays[end + 2] = x2;
    stays[end + 3] = y2;
    stays[end + 4] = area;
    kept.push(index);
  }
  return kept;
}

/** Intersection over union of two boxes of a list. */
export function overlap(boxes: Corners, a: number, b: number, others: Corners = boxes): number {
  const [i, j] = [4 * a, 4 * b];
  const [ax1 = 0, ay1 = 0, ax2 = 0, ay2 = 0] = [boxes[i], boxes[i + 1], boxes[i + 2], boxes[i + 3]];
  const [bx1 = 0, by1 = 0, bx2 = 0, by2 = 0] = [others[j], others[j + 1], others[j + 2], others[j + 3]];
  const width = Math.min(ax2, bx2) - Math.max(ax1, bx1);
  const height = Math.min(ay2, by2) - Math.max(ay1, by1);
  if (width <= 0 || height <= 0) return 0;
  const common = width * height;
  return common / ((ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - common);
}

export interface SoftRule {
  readonly method: 'linear' | 'gaussian';
  readonly iou: number;
  /** Of `gaussian`. */
  readonly sigma: number;
  readonly leastScore: number;
}

export interface Scored {
  readonly index: number;
  readonly score: number;
}

/** Overlapped boxes lose score instead of going. @see Soft-NMS, arXiv:1704.04503 */
export function softSuppress(boxes: Corners, scores: ArrayLike<number>, rule: SoftRule): Scored[] {
  const rest = Array.from(scores, (score, index) => ({ index, score }));
  const kept: Scored[] = [];
  while (rest.length > 0) {
    const at = rest.reduce((best, { score }, i) => (score > (rest[best]?.score ?? 0) ? i : best), 0);
    const [top] = rest.splice(at, 1);
    if (top === undefined || top.score < rule.leastScore) break;
    kept.push(top);
    for (const other of rest) {
      const iou = overlap(boxes, top.index, other.index);
      if (rule.method === 'gaussian') other.score *= Math.exp((-iou * iou) / rule.sigma);
      else if (iou > rule.iou) other.score *= 1 - iou;
    }
  }
  return kept;
}

export interface DetectionRule {
  /** Scores must be above it. */
  readonly leastScore: number;
  /** Most candidates of a class before suppression, and most detections after it. */
  readonly perClass: number;
  readonly iou: number;
  readonly most: number;
}

/** What each project's SSDLite ends with. */
export const detectionRules = {
  torchvision: { leastScore: 0.001, perClass: 300, iou: 0.55, most: 300 },
  mmdetection: { leastScore: 0.02, perClass: 1000, iou: 0.45, most: 200 },
  cvnets: { leastScore: 0.01, perClass: 400, iou: 0.5, most: 200 },
} as const satisfies Readonly<Record<string, DetectionRule>>;
