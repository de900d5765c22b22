import type { Detection, DetectionTruth, MeasureRule } from './ground-truth.ts';

export interface AreaRange {
  readonly name: 'all' | 'small' | 'medium' | 'large';
  /** Pixels, both ends included. */
  readonly least: number;
  readonly most: number;
}

export const areaRanges: readonly AreaRange[] = [
  { name: 'all', least: 0, most: 1e10 },
  { name: 'small', least: 0, most: 32 ** 2 },
  { name: 'medium', least: 32 ** 2, most: 96 ** 2 },
  { name: 'large', least: 96 ** 2, most: 1e10 },
];

/** What one picture has of one category. */
export interface Truths {
  readonly truths: readonly DetectionTruth[];
  readonly detections: readonly Detection[];
}

/** Detections of one picture and category, the surest first; thresholds are bits, the first one the lowest. */
export interface Match {
  readonly scores: Float64Array;
  /** Thresholds at which the detection has an object of its own. */
  readonly matched: Uint16Array;
  /** Thresholds at which it counts neither for nor against. */
  readonly ignored: Uint16Array;
  /** Objects that count. */
  readonly positives: number;
}

/**
 * Gives each detection, the surest first, the object it overlaps most and that is still free, at each threshold and
 * for each range of areas. Objects that are ignored (crowds, other sizes) are taken only where no other is.
 * @returns one match per area range
 */
export function evaluatePair(
  { truths, detections }: Truths,
  measure: MeasureRule,
  thresholds: readonly number[],
  mostDetections: number,
): readonly Match[] {
  const sure = detections
    .map((detection, order) => ({ detection, order }))
    .sort((a, b) => b.detection.score - a.detection.score || a.order - b.order)
    .slice(0, mostDetections)
    .map(({ detection }) => detection);
  const ious = sure.map((detection) =>
    Float64Array.from(truths, (truth) => measure.iou(detection, truth, truth.crowd)),
  );
  const areas = sure.map((detection) => detection.area ?? measure.area(detection));
  const scores = Float64Array.from(sure, ({ score }) => score);
  return areaRanges.map((range) => {
    const outside = (area: number): boolean => area < range.least || area > range.most;
    const isIgnored = truths.map(({ crowd, area }) => crowd || outside(area));
    const order = truths.map((_, i) => i).sort((a, b) => Number(isIgnored[a]) - Number(isIgnored[b]));
    const matched = new Uint16Array(sure.length);
    const ignored = new Uint16Array(sure.length);
    thresholds.forEach((threshold, bit) => {
      const taken = new Uint8Array(truths.length);
      for (let d = 0; d < sure.length; d++) {
        const own = bestTruth(ious[d], threshold, { truths, isIgnored, order, taken });
        if (own >= 0) {
          taken[own] = 1;
          matched[d] = (matched[d] ?? 0) | (1 << bit);
        }
        if (own >= 0 ? isIgnored[own] : outside(areas[d] ?? 0)) ignored[d] = (ignored[d] ?? 0) | (1 << bit);
      }
    });
    return { scores, matched, ignored, positives: isIgnored.filter((each) => !each).length };
  });
}

interface Candidates {
  readonly truths: readonly DetectionTruth[];
  readonly isIgnored: readonly boolean[];
  /** Those that count first. */
  readonly order: readonly number[];
  readonly taken: Uint8Array;
}

/** −1 where there is none. Of equal ones the last is taken. */
function bestTruth(
  ious: Float64Array | undefined,
  threshold: number,
  { truths, isIgnored, order, taken }: Candidates,
): number {
  let [best, own] = [Math.min(threshold, 1 - 1e-10), -1];
  for (const i of order) {
    if (taken[i] && !truths[i]?.crowd) continue;
    if (own >= 0 && !isIgnored[own] && isIgnored[i]) break;
    const iou = ious?.[i] ?? 0;
    if (iou < best) continue;
    best = iou;
    own = i;
  }
  return own;
}
