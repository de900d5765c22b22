import type { AnnotatedDataset, AnnotatedSplits } from '../../data/annotations/annotated.ts';
import type { BrokenPicture } from '../../data/check-dataset.ts';
import type { Batch, BatchPictures, BatchPool } from '../../data/loader/batch.ts';
import { createLoader, type Loader, type LoaderStats } from '../../data/loader/loader.ts';
import type { EvalTransform } from '../../image/eval-transform.ts';
import { keptLoader } from './kept-loader.ts';

export interface JointDataOptions {
  readonly seed?: number;
  /** Memory for decoded pictures of training and validation together; default 0. */
  readonly cacheBytes?: number;
  /** See `LoaderOptions`; validation pictures are never shrunk. */
  readonly shrink?: number;
  readonly onBroken?: (picture: BrokenPicture) => void;
  readonly signal?: AbortSignal;
}

/** Annotated pictures as tasks with heads learn from them. */
export interface JointData {
  readonly classes: readonly string[];
  readonly trainCount: number;
  readonly validation: AnnotatedDataset | undefined;
  /** Whole batches of an epoch from one on; `pictures` says how they are made. */
  readonly trainBatches: (
    request: { readonly epoch: number; readonly from: number; readonly batch: number },
    pictures: BatchPictures,
  ) => AsyncIterable<Batch>;
  /** Every validation picture once; rows after the last are empty. */
  readonly validationBatches: (batch: number, transform: EvalTransform) => AsyncIterable<Batch>;
  readonly stats: () => { readonly train: LoaderStats | undefined; readonly val: LoaderStats | undefined };
}

/** An annotated data set as a run takes it. The pool stays the caller's to close. */
export function jointData(
  splits: AnnotatedSplits,
  pool: BatchPool,
  options: JointDataOptions = {},
): JointData {
  const { seed = 0, cacheBytes = 0, shrink, ...common } = options;
  const validation = splits.val;
  const trainCount = splits.train.samples.length;
  const shareOf = (count: number): number =>
    (cacheBytes * count) / Math.max(1, trainCount + (validation?.samples.length ?? 0));
  const train = keptLoader();
  const val = keptLoader();
  return {
    classes: splits.classes,
    trainCount,
    validation,
    trainBatches: ({ epoch, from, batch }, pictures) => {
      const make = (): Loader =>
        createLoader(splits.train, pool, {
          ...common,
          ...(shrink === undefined ? {} : { shrink }),
          ...{ seed, pictures, batchSize: batch, cacheBytes: shareOf(trainCount) },
        });
      return train.get(`${batch}`, make).epoch(epoch, { from, pictures });
    },
    validationBatches: async function* (batch, transform) {
      if (!validation) return;
      const cached = shareOf(validation.samples.length);
      const make = (): Loader =>
        createLoader(validation, pool, {
          ...common,
          ...{ pictures: { kind: 'eval', transform }, batchSize: batch, cacheBytes: cached },
        });
      yield* val.get(`${batch} ${JSON.stringify(transform)}`, make).epoch(0);
    },
    stats: () => ({ train: train.stats(), val: val.stats() }),
  };
}
