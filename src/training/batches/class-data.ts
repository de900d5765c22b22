import type { BrokenPicture } from '../../data/check-dataset.ts';
import type { ClassSplits } from '../../data/dataset.ts';
import type { Batch, BatchPictures, BatchPool } from '../../data/loader/batch.ts';
import { createLoader, type LoaderStats } from '../../data/loader/loader.ts';
import type { Normalization } from '../../image/apply-transform.ts';
import type { EvalTransform } from '../../image/eval-transform.ts';
import type { Interpolation } from '../../image/resize.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { keptLoader } from './kept-loader.ts';
import type { TrainingBatch, TrainingData } from './training-data.ts';

export interface ClassDataOptions {
  readonly augment: Recipe['augment'];
  readonly normalization: Normalization;
  /** Of training crops and validation resizes; default bilinear. */
  readonly interpolation?: Interpolation;
  readonly seed?: number;
  /** Memory for decoded pictures of training and validation together; default 0. */
  readonly cacheBytes?: number;
  /** See `LoaderOptions`; validation pictures are never shrunk. */
  readonly shrink?: number;
  readonly onBroken?: (picture: BrokenPicture) => void;
  readonly signal?: AbortSignal;
}

/** Training data with what its loaders have counted. */
export interface ClassData extends TrainingData {
  readonly stats: () => { readonly train: LoaderStats | undefined; readonly val: LoaderStats | undefined };
}

/**
 * A classified data set as a run takes it. The pool stays the caller's to close.
 * @throws DataError (from the batches) when the training part has less than one batch, or nothing can be read
 */
export function classData(data: ClassSplits, pool: BatchPool, options: ClassDataOptions): ClassData {
  const { normalization, interpolation = 'bilinear', cacheBytes = 0 } = options;
  const trainCount = data.train.samples.length;
  const validationCount = data.val?.samples.length ?? 0;
  const cacheFor = (count: number): number => (cacheBytes * count) / (trainCount + validationCount);
  const common = {
    ...(options.signal ? { signal: options.signal } : {}),
    ...(options.onBroken ? { onBroken: options.onBroken } : {}),
  };
  const trainOptions = {
    ...common,
    ...(options.shrink === undefined ? {} : { shrink: options.shrink }),
    seed: options.seed ?? 0,
    cacheBytes: cacheFor(trainCount),
  };
  const train = keptLoader();
  const val = keptLoader();

  async function* trainBatches({
    epoch,
    from,
    batch,
    size,
    strength,
  }: Parameters<TrainingData['trainBatches']>[0]): AsyncGenerator<TrainingBatch> {
    const { mixup, cutmix, ...augmentation } = options.augment;
    const pictures: BatchPictures = {
      kind: 'train',
      augmentation,
      mixup,
      cutmix,
      interpolation,
      normalization,
      size,
      strength,
    };
    const loader = train.get(`${batch}`, () =>
      createLoader(data.train, pool, { ...trainOptions, batchSize: batch, pictures }),
    );
    for await (const made of loader.epoch(epoch, { from, size, strength })) yield tensors(made);
  }

  async function* validationBatches({
    batch,
    size,
    resize,
  }: Parameters<TrainingData['validationBatches']>[0]): AsyncGenerator<Batch> {
    const dataset = data.val;
    if (!dataset) return;
    const { scale, mean, std } = normalization;
    const crop = { width: size, height: size };
    const transform: EvalTransform = {
      resize: { kind: 'shortest', size: resize },
      crop,
      interpolation,
      scale,
      mean,
      std,
    };
    const cached = cacheFor(validationCount);
    const make = () =>
      createLoader(dataset, pool, {
        ...common,
        ...{ batchSize: batch, pictures: { kind: 'eval', transform }, cacheBytes: cached },
      });
    yield* val.get(`${batch} ${size} ${resize}`, make).epoch(0);
  }

  const stats = (): ReturnType<ClassData['stats']> => ({ train: train.stats(), val: val.stats() });
  const { length: classes } = data.classes;
  const labelOf = (index: number): number => data.val?.samples[index]?.target ?? -1;
  return { classes, trainCount, validationCount, trainBatches, validationBatches, labelOf, stats };
}

function tensors({ images, targets, indices, height, width, release }: Batch): TrainingBatch {
  const count = indices.length;
  return {
    images: { shape: [count, height, width, 3], data: images },
    targets: { shape: [count, targets.length / count], data: targets },
    release,
  };
}
