/** How often each class was taken for which: rows are the truth, columns the answers. */
export type ConfusionMatrix = readonly (readonly number[])[];

/** What one class came to. `null`: nothing to divide by, so there is no such number. */
export interface ClassMetrics {
  readonly label: number;
  /** Examples of the class. */
  readonly support: number;
  /** Answers that named it. */
  readonly predicted: number;
  /** Right among the answers that named it; null when none did. */
  readonly precision: number | null;
  /** Right among its examples; null when there are none. */
  readonly recall: number | null;
  /** Harmonic mean of both, 2·tp/(support + predicted); null when there are neither examples nor answers. */
  readonly f1: number | null;
}

/** Means over the classes that have examples; a class that was never named counts with precision 0. */
export interface MacroMetrics {
  readonly precision: number | null;
  /** Also called balanced or mean class accuracy. */
  readonly recall: number | null;
  readonly f1: number | null;
}

export interface ConfusedPair {
  readonly truth: number;
  readonly predicted: number;
  readonly count: number;
  /** Of the examples of `truth`. */
  readonly share: number;
}

export const ratio = (part: number, whole: number): number | null => (whole > 0 ? part / whole : null);

/**
 * @param supports examples of each class; default the row sums. More than those where answers were no numbers
 */
export function classMetrics(matrix: ConfusionMatrix, supports?: readonly number[]): readonly ClassMetrics[] {
  return matrix.map((row, label) => {
    const support = supports?.[label] ?? row.reduce((sum, one) => sum + one, 0);
    const predicted = matrix.reduce((sum, other) => sum + (other[label] ?? 0), 0);
    const right = row[label] ?? 0;
    return {
      label,
      support,
      predicted,
      precision: ratio(right, predicted),
      recall: ratio(right, support),
      f1: ratio(2 * right, support + predicted),
    };
  });
}

export function macroMetrics(classes: readonly ClassMetrics[]): MacroMetrics {
  const present = classes.filter(({ support }) => support > 0);
  const mean = (of: 'precision' | 'recall' | 'f1'): number | null =>
    ratio(
      present.reduce((sum, one) => sum + (one[of] ?? 0), 0),
      present.length,
    );
  return { precision: mean('precision'), recall: mean('recall'), f1: mean('f1') };
}

/** The most frequent mistakes, most first; ties in the order of the labels. */
export function confusedPairs(matrix: ConfusionMatrix, limit: number): readonly ConfusedPair[] {
  const pairs = matrix.flatMap((row, truth) => {
    const support = row.reduce((sum, one) => sum + one, 0);
    return row.flatMap((count, predicted) =>
      predicted === truth || count === 0 ? [] : [{ truth, predicted, count, share: count / support }],
    );
  });
  return pairs.sort((a, b) => b.count - a.count || b.share - a.share).slice(0, limit);
}
