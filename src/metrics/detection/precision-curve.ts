import type { Match } from './coco-match.ts';

/** Detections of all pictures, the surest first; bits as in `Match`. */
export interface Ranked {
  readonly matched: Uint16Array;
  readonly ignored: Uint16Array;
}

/** @param most detections of a picture that count, the surest; equal scores keep the pictures' order */
export function rankMatches(matches: readonly Match[], most: number): Ranked {
  let count = 0;
  for (const { scores } of matches) count += Math.min(most, scores.length);
  const scores = new Float64Array(count);
  const [matched, ignored] = [new Uint16Array(count), new Uint16Array(count)];
  let at = 0;
  for (const match of matches)
    for (let i = 0; i < Math.min(most, match.scores.length); i++) {
      scores[at] = match.scores[i] ?? 0;
      matched[at] = match.matched[i] ?? 0;
      ignored[at++] = match.ignored[i] ?? 0;
    }
  const order = Uint32Array.from({ length: count }, (_, i) => i).sort(
    (a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b,
  );
  return {
    matched: Uint16Array.from(order, (i) => matched[i] ?? 0),
    ignored: Uint16Array.from(order, (i) => ignored[i] ?? 0),
  };
}

export interface CurveOptions {
  /** Objects to be found; positive. */
  readonly positives: number;
  /** Index of the IoU threshold. */
  readonly threshold: number;
  /** Recalls to give precisions at, ascending. */
  readonly points: readonly number[];
}

export interface PrecisionCurve {
  readonly recall: number;
  /** At each point: the best precision at that recall or a higher one; 0 beyond the recall that is reached. */
  readonly precisions: readonly number[];
}

/** NumPy's spacing at 1, which COCO adds so as not to divide by 0. */
const EPSILON = 2 ** -52;

export function precisionCurve({ matched, ignored }: Ranked, options: CurveOptions): PrecisionCurve {
  const { positives, threshold, points } = options;
  const bit = 1 << threshold;
  const recalls = new Float64Array(matched.length);
  const precisions = new Float64Array(matched.length);
  let [count, right] = [0, 0];
  for (let i = 0; i < matched.length; i++) {
    if ((ignored[i] ?? 0) & bit) continue;
    if ((matched[i] ?? 0) & bit) right++;
    recalls[count] = right / positives;
    precisions[count] = right / (++count + EPSILON);
  }
  for (let i = count - 2; i >= 0; i--) precisions[i] = Math.max(precisions[i] ?? 0, precisions[i + 1] ?? 0);
  let at = 0;
  return {
    recall: count === 0 ? 0 : (recalls[count - 1] ?? 0),
    precisions: points.map((point) => {
      while (at < count && (recalls[at] ?? 0) < point) at++;
      return at < count ? (precisions[at] ?? 0) : 0;
    }),
  };
}
