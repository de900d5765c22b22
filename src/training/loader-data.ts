import type { BrokenPicture } from '../data/check-dataset.ts';
import type { ClassDataset, ClassSplits } from '../data/dataset.ts';
import type { BatchPool } from '../data/loader/batch.ts';
import { createLoader, type Loader } from '../data/loader/loader.ts';
import type { RunConfig } from './run-config.ts';
import type { TrainingData } from './training-data.ts';

export interface LoaderDataOptions {
  readonly pool: BatchPool;
  /** Memory for decoded pictures; default none. */
  readonly cacheBytes?: number;
  /** Told of each broken picture once. */
  readonly onBroken?: (picture: BrokenPicture) => void;
}

/** A data set on disk or in memory as a run takes it: pictures are decoded and augmented by the pool. */
export function loaderData(
  splits: Pick<ClassSplits, 'train' | 'val' | 'classes'>,
  { recipe, transform }: Pick<RunConfig, 'recipe' | 'transform'>,
  options: LoaderDataOptions,
): TrainingData {
  const { pool, cacheBytes = 0, ...rest } = options;
  const { train, val, classes } = splits;
  const whole = train.samples.length + (val?.samples.length ?? 0);
  // A crop may be half of a picture's side; what is larger than twice what is needed is shrunk as it is read.
  const shrink = 2 * Math.max(recipe.evaluation.resize, ...recipe.phases.map(({ size }) => size));
  const settings = (dataset: ClassDataset) => ({
    ...rest,
    seed: recipe.seed,
    cacheBytes: Math.floor((cacheBytes * dataset.samples.length) / whole),
  });
  const { mixup, cutmix, ...augmentation } = recipe.augment;
  const trainLoader = remembered((batchSize) =>
    createLoader(train, pool, {
      ...settings(train),
      batchSize,
      shrink,
      pictures: {
        kind: 'train',
        augmentation,
        mixup,
        cutmix,
        interpolation: transform.interpolation,
        normalization: transform,
        size: recipe.evaluation.size,
        strength: 1,
      },
    }),
  );
  const valLoader = remembered((batchSize) =>
    createLoader(val ?? train, pool, {
      ...settings(val ?? train),
      batchSize,
      pictures: { kind: 'eval', transform },
    }),
  );
  return {
    classes: classes.length,
    trainCount: train.samples.length,
    validationCount: val?.samples.length ?? 0,
    trainBatches: async function* ({ epoch, from, batch, size, strength }) {
      for await (const one of trainLoader(batch).epoch(epoch, { from, size, strength }))
        yield {
          images: { shape: [batch, size, size, 3], data: one.images },
          targets: { shape: [batch, classes.length], data: one.targets },
          release: one.release,
        };
    },
    validationBatches: ({ batch }) => valLoader(batch).epoch(0),
    labelOf: (index) => val?.samples[index]?.target ?? -1,
  };
}

/** Loaders keep decoded pictures, so one serves as long as the batch stays. */
function remembered(make: (batchSize: number) => Loader): (batchSize: number) => Loader {
  let last: { readonly batchSize: number; readonly loader: Loader } | undefined;
  return (batchSize) => {
    if (last?.batchSize !== batchSize) last = { batchSize, loader: make(batchSize) };
    return last.loader;
  };
}
