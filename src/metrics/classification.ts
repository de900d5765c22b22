import { ShapeError } from '../errors.ts';
import { type Calibration, calibrationMeter } from './calibration.ts';
import {
  type ClassMetrics,
  type ConfusionMatrix,
  classMetrics,
  type MacroMetrics,
  macroMetrics,
  ratio,
} from './confusion.ts';

/** What a classifier came to on a set; plain numbers, JSON as it is. Shares are 0–1, null without examples. */
export interface ClassificationMetrics {
  readonly count: number;
  /** Examples whose probabilities were not numbers; they count as wrong and stand in no column of `confusion`. */
  readonly invalid: number;
  readonly top1: number | null;
  /** Truth among the five most probable; 1 when there are no more than five classes. */
  readonly top5: number | null;
  /** Mean of −ln p(truth). A p of 0 counts as 2⁻¹⁴⁹, the least f32 above it. */
  readonly loss: number | null;
  readonly macro: MacroMetrics;
  readonly calibration: Calibration;
  readonly classes: readonly ClassMetrics[];
  readonly confusion: ConfusionMatrix;
}

/** One example's outcome. */
export interface Outcome {
  /** The most probable class; the first of equals. −1 when the probabilities are not numbers. */
  readonly predicted: number;
  readonly probability: number;
  /** How many classes come before the truth: 0 is right, below 5 is right among five. */
  readonly rank: number;
}

export interface ClassificationMeter {
  /**
   * Takes one example in.
   * @param probabilities of all classes
   * @throws ShapeError when there are not as many as classes, or the label is none
   */
  readonly add: (probabilities: ArrayLike<number>, label: number) => Outcome;
  /** @param probabilities [labels.length, classes], row by row. @throws ShapeError as `add` */
  readonly addBatch: (
    probabilities: Float32Array | Float64Array,
    labels: ArrayLike<number>,
  ) => readonly Outcome[];
  /** Of what was taken in so far. */
  readonly result: () => ClassificationMetrics;
}

const leastProbability = 2 ** -149;

/** Sums up answers one by one; memory grows with classes² alone. @throws ShapeError below one class */
export function classificationMeter(classes: number): ClassificationMeter {
  if (!Number.isSafeInteger(classes) || classes < 1)
    throw new ShapeError(`classificationMeter: classes must be a whole number from 1, found ${classes}.`);
  const confusion = new Float64Array(classes * classes);
  const supports = new Float64Array(classes);
  const calibration = calibrationMeter();
  let [count, invalid, right, rightOfFive, loss] = [0, 0, 0, 0, 0];

  const add = (probabilities: ArrayLike<number>, label: number): Outcome => {
    const outcome = judge(probabilities, label, classes);
    count++;
    supports[label] = (supports[label] ?? 0) + 1;
    if (outcome.predicted < 0) {
      invalid++;
      loss = Number.NaN;
      return outcome;
    }
    const cell = label * classes + outcome.predicted;
    confusion[cell] = (confusion[cell] ?? 0) + 1;
    if (outcome.rank === 0) right++;
    if (outcome.rank < 5) rightOfFive++;
    loss -= Math.log(Math.max(leastProbability, probabilities[label] ?? 0));
    calibration.add(outcome.probability, outcome.rank === 0);
    return outcome;
  };

  return {
    add,
    addBatch: (probabilities, labels) => {
      if (probabilities.length !== labels.length * classes)
        throw new ShapeError(
          `classificationMeter: ${labels.length} labels of ${classes} classes need ${labels.length * classes} probabilities, found ${probabilities.length}.`,
        );
      return Array.from(labels, (label, i) =>
        add(probabilities.subarray(i * classes, (i + 1) * classes), label),
      );
    },
    result: () => {
      const rows = Array.from({ length: classes }, (_, i) =>
        Array.from(confusion.subarray(i * classes, (i + 1) * classes)),
      );
      const perClass = classMetrics(rows, Array.from(supports));
      return {
        count,
        invalid,
        top1: ratio(right, count),
        top5: ratio(rightOfFive, count),
        loss: Number.isNaN(loss) ? null : ratio(loss, count),
        macro: macroMetrics(perClass),
        calibration: calibration.result(),
        classes: perClass,
        confusion: rows,
      };
    },
  };
}

/** Equal probabilities rank in the order of the labels, as `rank` of a classification does. */
function judge(probabilities: ArrayLike<number>, label: number, classes: number): Outcome {
  if (probabilities.length !== classes)
    throw new ShapeError(
      `classificationMeter: ${classes} classes need as many probabilities, found ${probabilities.length}.`,
    );
  if (!Number.isSafeInteger(label) || label < 0 || label >= classes)
    throw new ShapeError(`classificationMeter: label ${label} is none of the ${classes} classes.`);
  const truth = probabilities[label] ?? Number.NaN;
  let predicted = 0;
  let rank = 0;
  for (let i = 0; i < classes; i++) {
    const one = probabilities[i] ?? Number.NaN;
    if (Number.isNaN(one)) return { predicted: -1, probability: Number.NaN, rank: classes };
    if (one > (probabilities[predicted] ?? 0)) predicted = i;
    if (one > truth || (one === truth && i < label)) rank++;
  }
  return { predicted, probability: probabilities[predicted] ?? 0, rank };
}
