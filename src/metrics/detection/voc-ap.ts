import type { Box } from './box.ts';
import type { Detection, DetectionTruth } from './ground-truth.ts';

/**
 * Pascal VOC's average precision: `eleven-point` as until 2009 (recalls 0, 0.1, … 1), `area` under the curve since.
 */
export type VocRule = 'eleven-point' | 'area';

export interface VocOptions {
  readonly rule?: VocRule;
  /** Default 0.5. */
  readonly iou?: number;
  /** Sides counted with both end pixels, as VOC's own code and its successors do. Default false. */
  readonly inclusive?: boolean;
}

/**
 * Of one category. Detections go to the object they overlap most; the second one there is wrong. Crowds (VOC's
 * "difficult") count neither for nor against.
 * @returns NaN where there is no object to find
 */
export function vocAp(
  truths: readonly DetectionTruth[],
  detections: readonly Detection[],
  { rule = 'area', iou = 0.5, inclusive = false }: VocOptions = {},
): number {
  const byImage = new Map<number | string, DetectionTruth[]>();
  for (const truth of truths) byImage.set(truth.image, [...(byImage.get(truth.image) ?? []), truth]);
  const positives = truths.filter(({ crowd }) => !crowd).length;
  const found = new Set<DetectionTruth>();
  const [recalls, precisions]: [number[], number[]] = [[], []];
  let [right, counted] = [0, 0];
  for (const detection of detections.toSorted((a, b) => b.score - a.score)) {
    let [best, own]: [number, DetectionTruth | undefined] = [0, undefined];
    for (const truth of byImage.get(detection.image) ?? []) {
      const overlap = truth.box && detection.box ? vocIou(detection.box, truth.box, inclusive) : 0;
      if (overlap > best) [best, own] = [overlap, truth];
    }
    const hit = own !== undefined && best >= iou;
    if (hit && own?.crowd) continue;
    counted++;
    if (hit && own && !found.has(own)) {
      found.add(own);
      right++;
    }
    recalls.push(right / positives);
    precisions.push(right / counted);
  }
  return positives === 0 ? Number.NaN : rules[rule](recalls, precisions);
}

function vocIou(a: Box, b: Box, inclusive: boolean): number {
  const extra = inclusive ? 1 : 0;
  const side = (box: Box, axis: 2 | 3): number => box[axis] + extra;
  const common = (start: 0 | 1, axis: 2 | 3): number =>
    Math.min(a[start] + a[axis], b[start] + b[axis]) - Math.max(a[start], b[start]) + extra;
  const [width, height] = [common(0, 2), common(1, 3)];
  if (width <= 0 || height <= 0) return 0;
  const both = width * height;
  return both / (side(a, 2) * side(a, 3) + side(b, 2) * side(b, 3) - both);
}

type Rule = (recalls: readonly number[], precisions: readonly number[]) => number;

/** The best precision from a place on. */
function envelope(precisions: readonly number[]): readonly number[] {
  const best = [...precisions];
  for (let i = best.length - 2; i >= 0; i--) best[i] = Math.max(best[i] ?? 0, best[i + 1] ?? 0);
  return best;
}

const rules: { readonly [R in VocRule]: Rule } = {
  'eleven-point': (recalls, precisions) => {
    const best = envelope(precisions);
    let total = 0;
    for (let i = 0; i <= 10; i++) {
      const at = recalls.findIndex((recall) => recall >= i * 0.1);
      total += at < 0 ? 0 : (best[at] ?? 0);
    }
    return total / 11;
  },
  area: (recalls, precisions) =>
    envelope(precisions).reduce(
      (sum, best, i) => sum + best * ((recalls[i] ?? 0) - (recalls[i - 1] ?? 0)),
      0,
    ),
};
