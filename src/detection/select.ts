import { ShapeError } from '../errors.ts';
import type { Corners } from './anchors.ts';
import { type Candidates, emptyCandidates, findProbable, findProbableLogits } from './candidates.ts';
import type { DetectionRule } from './nms.ts';

/**
 * From scores to detections, in flat lists. Suppression within each class and then the surest of all is the same as one
 * walk over the candidates of all classes, the surest first, that ends when enough are kept. So only the surest
 * candidates are ever sorted, and of the overlaps only those of one class are looked at. `suppress` is the plain form.
 */

export interface ClassBox {
  readonly anchor: number;
  readonly label: number;
  readonly score: number;
}

export interface DetectionSelector {
  /** @param logits [A, classes], background included */
  readonly ofLogits: (boxes: Corners, logits: Float32Array, rule: DetectionRule) => ClassBox[];
  /** @param probabilities [A, classes], background included */
  readonly ofProbabilities: (boxes: Corners, probabilities: Float32Array, rule: DetectionRule) => ClassBox[];
}

/** A score's bits and a place fit one exact number. */
const mostPlaces = 2 ** 23;

/**
 * Reuses its memory from picture to picture.
 * @param background class that is no object
 * @throws ShapeError for more than 2²³ scores a picture
 */
export function detectionSelector(anchors: number, classes: number, background: number): DetectionSelector {
  if (anchors * classes > mostPlaces)
    throw new ShapeError(
      `detections: at most ${mostPlaces} scores a picture, found ${anchors} anchors of ${classes} classes.`,
    );
  const candidates = emptyCandidates(anchors, classes);
  const row = new Float32Array(classes);
  const walk = walker(anchors, classes);
  return {
    ofLogits: (boxes, logits, rule) => {
      findProbableLogits(logits, row, background, rule.leastScore, candidates);
      return walk(candidates, boxes, rule);
    },
    ofProbabilities: (boxes, probabilities, rule) => {
      findProbable(probabilities, classes, background, rule.leastScore, candidates);
      return walk(candidates, boxes, rule);
    },
  };
}

/** Suppression within each class, then the surest of all. @param probabilities [A, classes], background included */
export function selectDetections(
  boxes: Corners,
  probabilities: Float32Array,
  classes: number,
  background: number,
  rule: DetectionRule,
): ClassBox[] {
  const selector = detectionSelector(probabilities.length / classes, classes, background);
  return selector.ofProbabilities(boxes, probabilities, rule);
}

/** What is kept of each class: a chain of corners and areas. */
interface Kept {
  count: number;
  readonly corners: Float64Array;
  /** The one kept before of the same class, −1 for none. */
  readonly before: Int32Array;
}

function walker(anchors: number, classes: number) {
  const last = new Int32Array(classes);
  const seen = new Int32Array(classes);
  const bits = new Uint32Array(1);
  const score = new Float32Array(bits.buffer);
  return (candidates: Candidates, boxes: Corners, rule: DetectionRule): ClassBox[] => {
    last.fill(-1);
    seen.fill(0);
    const most = Math.min(rule.most, candidates.count);
    const kept: Kept = { count: 0, corners: new Float64Array(5 * most), before: new Int32Array(most) };
    const found: ClassBox[] = [];
    for (const keys of takeSurest(candidates, Math.max(leastTaken, 2 * most)))
      for (let i = 0; i < keys.length && kept.count < most; i++) {
        const key = keys[i] ?? 0;
        const rank = Math.floor(key / mostPlaces);
        const place = key - rank * mostPlaces;
        const label = Math.floor(place / anchors);
        const number = (seen[label] ?? 0) + 1;
        seen[label] = number;
        if (number > rule.perClass) continue;
        const anchor = place - label * anchors;
        if (!keep(kept, last, label, boxes, anchor, rule.iou)) continue;
        bits[0] = topRank - rank;
        found.push({ anchor, label, score: score[0] ?? 0 });
        if (kept.count === most) return found;
      }
    return found;
  };
}

/** Keeps a box unless one that is kept of its class overlaps it by more than `iou`. */
function keep(
  kept: Kept,
  last: Int32Array,
  label: number,
  boxes: Corners,
  anchor: number,
  iou: number,
): boolean {
  const { corners, before, count } = kept;
  const i = 4 * anchor;
  const x1 = boxes[i] ?? 0;
  const y1 = boxes[i + 1] ?? 0;
  const x2 = boxes[i + 2] ?? 0;
  const y2 = boxes[i + 3] ?? 0;
  const area = (x2 - x1) * (y2 - y1);
  for (let one = last[label] ?? -1; one >= 0; one = before[one] ?? -1) {
    const at = 5 * one;
    const width = Math.min(x2, corners[at + 2] ?? 0) - Math.max(x1, corners[at] ?? 0);
    if (width <= 0) continue;
    const height = Math.min(y2, corners[at + 3] ?? 0) - Math.max(y1, corners[at + 1] ?? 0);
    if (height <= 0) continue;
    const common = width * height;
    if (common / (area + (corners[at + 4] ?? 0) - common) > iou) return false;
  }
  const at = 5 * count;
  corners[at] = x1;
  corners[at + 1] = y1;
  corners[at + 2] = x2;
  corners[at + 3] = y2;
  corners[at + 4] = area;
  before[count] = last[label] ?? -1;
  last[label] = count;
  kept.count = count + 1;
  return true;
}

/** Of the bits of 1. Surer ones have smaller ranks, so keys sort by falling score, then by class, then by anchor. */
const topRank = 2 ** 30;
/** Sorting so few at once costs nothing worth saving. */
const leastTaken = 512;
/** Of positive floats the order is that of their bits; these many of them tell 32 steps between a score and its half. */
const bucketShift = 18;
const buckets = new Int32Array(2 ** (32 - bucketShift));

/** Keys of the candidates, the surest first, some `wanted` at a time and then more and more. */
function* takeSurest({ count, scores, places }: Candidates, wanted: number): Generator<Float64Array> {
  const bits = new Uint32Array(scores.buffer, scores.byteOffset, count);
  if (count > wanted) {
    buckets.fill(0);
    for (let i = 0; i < count; i++) {
      const bucket = (bits[i] ?? 0) >>> bucketShift;
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    }
  }
  const sizes = count > wanted ? buckets.slice() : buckets;
  let [ceiling, left, amount] = [sizes.length, count, wanted];
  while (left > 0) {
    let [floor, size] = [0, left];
    if (left > amount) {
      floor = ceiling;
      size = 0;
      while (size < amount && floor > 0) size += sizes[--floor] ?? 0;
    }
    const [low, high] = [floor * 2 ** bucketShift, ceiling * 2 ** bucketShift];
    const keys = new Float64Array(size);
    for (let i = 0, to = 0; i < count; i++) {
      const own = bits[i] ?? 0;
      if (own >= low && own < high) keys[to++] = (topRank - own) * mostPlaces + (places[i] ?? 0);
    }
    yield keys.sort();
    [ceiling, left, amount] = [floor, left - size, amount * 4];
  }
}
