import type { Corners } from './anchors.ts';
import { overlap } from './nms.ts';

/** An anchor's object, or why it has none. */
export const BACKGROUND = -1;
export const IGNORED = -2;

export interface AssignRule {
  /** An anchor takes the object it overlaps most, from this IoU on. */
  readonly iou: number;
  /** Every object also takes as many anchors as this, those that overlap it most, whatever the overlap. */
  readonly forced: number;
  /** Objects take anchors only from this overlap on. */
  readonly leastForced: number;
  /** Share of an anchor within an ignored region from which on it is neither object nor background. */
  readonly ignoreShare: number;
}

/** torchvision's, mmdetection's and CVNets' SSD agree on it. */
export const ssdAssignRule: AssignRule = { iou: 0.5, forced: 1, leastForced: 0, ignoreShare: 0.5 };

/**
 * Which object each anchor is to find. Where two objects force one anchor, the later one has it, as in all three
 * projects.
 * @returns for each anchor an index of `objects`, BACKGROUND or IGNORED
 */
export function assignAnchors(
  anchors: Corners,
  objects: Corners,
  rule: AssignRule,
  ignored: Corners = new Float32Array(0),
): Int32Array {
  const [count, objectCount] = [anchors.length / 4, objects.length / 4];
  const assigned = new Int32Array(count).fill(BACKGROUND);
  const best = new Float64Array(count);
  const own = Array.from({ length: objectCount }, (): Candidate[] => []);
  for (let object = 0; object < objectCount; object++)
    for (let anchor = 0; anchor < count; anchor++) {
      const iou = overlap(anchors, anchor, object, objects);
      keepBest(own[object], anchor, iou, rule.forced);
      if (iou > (best[anchor] ?? 0)) {
        best[anchor] = iou;
        if (iou >= rule.iou) assigned[anchor] = object;
      }
    }
  for (let anchor = 0; anchor < count; anchor++)
    if (assigned[anchor] === BACKGROUND && mostWithin(anchors, anchor, ignored) > rule.ignoreShare)
      assigned[anchor] = IGNORED;
  // Second choices give way to first ones.
  for (let rank = rule.forced - 1; rank >= 0; rank--)
    own.forEach((candidates, object) => {
      const { anchor, iou } = candidates[rank] ?? { anchor: -1, iou: -1 };
      if (anchor >= 0 && iou >= rule.leastForced && (rank === 0 || iou > 0)) assigned[anchor] = object;
    });
  return assigned;
}

interface Candidate {
  readonly anchor: number;
  readonly iou: number;
}

/** Of equal ones the first. @param best by falling overlap, at most `most` */
function keepBest(best: Candidate[] | undefined, anchor: number, iou: number, most: number): void {
  if (!best || (best.length >= most && iou <= (best.at(-1)?.iou ?? Number.POSITIVE_INFINITY))) return;
  const at = best.findIndex((other) => other.iou < iou);
  best.splice(at < 0 ? best.length : at, 0, { anchor, iou });
  if (best.length > most) best.pop();
}

/** Largest share of a box that one region covers. */
function mostWithin(boxes: Corners, box: number, regions: Corners): number {
  const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = boxes.subarray(4 * box, 4 * box + 4);
  let most = 0;
  for (let i = 0; i < regions.length; i += 4) {
    const [rx1 = 0, ry1 = 0, rx2 = 0, ry2 = 0] = regions.subarray(i, i + 4);
    const width = Math.min(x2, rx2) - Math.max(x1, rx1);
    const height = Math.min(y2, ry2) - Math.max(y1, ry1);
    if (width > 0 && height > 0) most = Math.max(most, (width * height) / ((x2 - x1) * (y2 - y1)));
  }
  return most;
}
