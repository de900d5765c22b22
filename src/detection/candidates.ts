import { expNegative } from '../tensor/exp.ts';

/**
 * Which anchors may be objects of which class: everything a rule's threshold lets through, as two flat lists that are
 * filled anew for each picture. The surest come later, in `takeSurest`.
 */
export interface Candidates {
  count: number;
  readonly scores: Float32Array;
  /** label · anchors + anchor */
  readonly places: Int32Array;
}

export const emptyCandidates = (anchors: number, classes: number): Candidates => ({
  count: 0,
  scores: new Float32Array(anchors * classes),
  places: new Int32Array(anchors * classes),
});

/** @param probabilities [A, classes] @param background class that is no object @param least what scores must be above */
export function findProbable(
  probabilities: Float32Array,
  classes: number,
  background: number,
  least: number,
  found: Candidates,
): void {
  const { scores, places } = found;
  const anchors = probabilities.length / classes;
  let count = 0;
  for (let anchor = 0, at = 0; anchor < anchors; anchor++)
    for (let label = 0; label < classes; label++, at++) {
      const score = probabilities[at] ?? 0;
      if (!(score > least) || label === background) continue;
      scores[count] = score;
      places[count++] = label * anchors + anchor;
    }
  found.count = count;
}

/**
 * The same of the softmax of each row, which is computed only where it can matter: nearly all rows are background, and
 * an object's probability is at most exp(its logit − the background's).
 * @param logits [A, classes]
 * @param row scratch of `classes` numbers
 */
export function findProbableLogits(
  logits: Float32Array,
  row: Float32Array,
  background: number,
  least: number,
  found: Candidates,
): void {
  const classes = row.length;
  const anchors = logits.length / classes;
  const margin = least > 0 ? Math.log(least) : Number.NEGATIVE_INFINITY;
  const { scores, places } = found;
  let count = 0;
  for (let anchor = 0, start = 0; anchor < anchors; anchor++, start += classes) {
    const none = logits[start + background] ?? 0;
    const before = largest(logits, start, start + background);
    const surest = Math.max(before, largest(logits, start + background + 1, start + classes));
    if (!(surest > none + margin)) continue;
    const sum = exponentials(logits, start, Math.max(surest, none), row);
    // A division for those alone that rounding could still let through.
    const enough = least * sum * (1 - 1e-6);
    for (let label = 0; label < classes; label++) {
      if (!((row[label] ?? 0) > enough) || label === background) continue;
      const score = Math.fround((row[label] ?? 0) / sum);
      if (!(score > least)) continue;
      scores[count] = score;
      places[count++] = label * anchors + anchor;
    }
  }
  found.count = count;
}

function largest(data: Float32Array, from: number, to: number): number {
  let most = Number.NEGATIVE_INFINITY;
  for (let i = from; i < to; i++) {
    const value = data[i] ?? 0;
    if (value > most) most = value;
  }
  return most;
}

/** exp(logit − `most`) of a row. @returns their sum */
function exponentials(logits: Float32Array, start: number, most: number, row: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < row.length; i++) {
    const value = expNegative((logits[start + i] ?? 0) - most);
    row[i] = value;
    sum += value;
  }
  return sum;
}
