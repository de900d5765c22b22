import { DataError } from '../../errors.ts';

/** Pixels by true class (rows) and predicted class (columns), over a whole set of pictures. */
export interface PixelConfusion {
  readonly classes: number;
  /** [classes, classes] */
  readonly counts: Float64Array;
}

export function pixelConfusion(classes: number): PixelConfusion {
  return { classes, counts: new Float64Array(classes * classes) };
}

/**
 * Adds one picture. Pixels whose truth is `ignore`, or no class at all, are left out.
 * @throws DataError when the maps differ in size, or a predicted class does not exist
 */
export function countPixels(
  { classes, counts }: PixelConfusion,
  truth: ArrayLike<number>,
  predicted: ArrayLike<number>,
  ignore = 255,
): void {
  if (truth.length !== predicted.length)
    throw new DataError(
      `segmentation: prediction and truth must have as many pixels, found ${predicted.length} and ${truth.length}.`,
    );
  for (let i = 0; i < truth.length; i++) {
    const [row = ignore, column = 0] = [truth[i], predicted[i]];
    if (row === ignore || row < 0 || row >= classes) continue;
    if (!(column >= 0 && column < classes))
      throw new DataError(
        `segmentation: predicted classes must be 0 … ${classes - 1}, found ${column} at pixel ${i}.`,
      );
    const at = row * classes + column;
    counts[at] = (counts[at] ?? 0) + 1;
  }
}

/**
 * What a class counts that is neither in the truth nor predicted: nothing (`skip`, as mmsegmentation), 0 (`zero`, as
 * CVNets), or it makes the mean undefined (`undefined`, as torchvision, whose mean is then NaN).
 */
export type AbsentClass = 'skip' | 'zero' | 'undefined';

export interface SegmentationScores {
  /** By class: intersection over union; null for a class that is nowhere. */
  readonly iou: readonly (number | null)[];
  /** By class: share of its pixels that were found; null for a class that the truth lacks. */
  readonly classAccuracy: readonly (number | null)[];
  readonly meanIou: number;
  readonly meanAccuracy: number;
  readonly pixelAccuracy: number;
  /** IoUs weighted by how many pixels each class has. */
  readonly weightedIou: number;
  readonly dice: readonly (number | null)[];
}

export function segmentationScores(
  { classes, counts }: PixelConfusion,
  absent: AbsentClass = 'skip',
): SegmentationScores {
  const own = Array.from({ length: classes }, (_, i) => counts[i * classes + i] ?? 0);
  const truth = own.map((_, i) => sum(counts.subarray(i * classes, (i + 1) * classes)));
  const predicted = own.map((_, i) => sum(truth.map((__, row) => counts[row * classes + i] ?? 0)));
  const total = sum(truth);
  const share = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole);
  const union = own.map((right, i) => (truth[i] ?? 0) + (predicted[i] ?? 0) - right);
  const iou = own.map((right, i) => share(right, union[i] ?? 0));
  const classAccuracy = own.map((right, i) => share(right, truth[i] ?? 0));
  return {
    iou,
    classAccuracy,
    meanIou: meanOf(iou, absent),
    meanAccuracy: meanOf(classAccuracy, absent),
    pixelAccuracy: sum(own) / total,
    weightedIou: sum(iou.map((value, i) => ((value ?? 0) * (truth[i] ?? 0)) / total)),
    dice: own.map((right, i) => share(2 * right, (truth[i] ?? 0) + (predicted[i] ?? 0))),
  };
}

function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i] ?? 0;
  return total;
}

function meanOf(values: readonly (number | null)[], absent: AbsentClass): number {
  const missing = { skip: [], zero: [0], undefined: [Number.NaN] }[absent];
  const counted = values.flatMap((value) => (value === null ? missing : [value]));
  return sum(counted) / counted.length;
}
