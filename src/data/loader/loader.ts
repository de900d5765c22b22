import { DataError } from '../../errors.ts';
import type { BrokenPicture } from '../check-dataset.ts';
import type { ClassDataset } from '../dataset.ts';
import {
  type Batch,
  type BatchBuffers,
  type BatchPictures,
  type BatchPool,
  type BatchResult,
  normalizationOf,
  pictureSize,
  type Slot,
} from './batch.ts';
import { createPictureCache } from './picture-cache.ts';
import { epochOrder } from './streams.ts';

export interface LoaderOptions {
  readonly batchSize: number;
  readonly pictures: BatchPictures;
  /** Decides the order, every augmentation and every mixture, whatever the number of workers. */
  readonly seed?: number;
  /** A new order each epoch; default for training only. */
  readonly shuffle?: boolean;
  /**
   * What becomes of the samples that do not fill a batch: `drop` (default for training) leaves them out, `short`
   * gives a smaller batch, `pad` (default for evaluation) fills up with zeros whose index is −1.
   */
  readonly lastBatch?: 'drop' | 'short' | 'pad';
  /** Memory for decoded pictures; default 0, none. */
  readonly cacheBytes?: number;
  /**
   * Shrinks pictures whose short side is longer to this when they are read, the fast way: a JPEG is decoded at a
   * fraction of its size where the decoder can. Faster and smaller, but not the pixels of the exact pipeline;
   * default off. At least the largest size trained at, better twice that, as crops are parts of pictures.
   */
  readonly shrink?: number;
  /** Told of each broken picture once. */
  readonly onBroken?: (picture: BrokenPicture) => void;
  readonly signal?: AbortSignal;
}

export interface EpochOptions {
  /** First batch, to go on where an interrupted epoch stopped. */
  readonly from?: number;
  /** Of training pictures, instead of the loader's. */
  readonly size?: number;
  readonly strength?: number;
}

export interface LoaderStats {
  readonly batches: number;
  readonly pictures: number;
  /** Time the consumer waited for batches. */
  readonly waitMs: number;
  /** Time spent making batches, on all threads together. */
  readonly workMs: number;
  readonly cachedPictures: number;
  readonly cachedBytes: number;
  readonly broken: readonly BrokenPicture[];
}

export interface Loader {
  /** Batches an epoch. */
  readonly steps: number;
  /**
   * The batches of an epoch, from 0; the same for the same seed, epoch and options. One epoch at a time.
   * @throws DataError when no picture can be read or a worker ends; the signal's reason after an abort
   */
  readonly epoch: (epoch: number, options?: EpochOptions) => AsyncGenerator<Batch, void, void>;
  readonly stats: () => LoaderStats;
}

/**
 * Batches of a data set, made ahead of need by a pool. While training, a picture that cannot be read is replaced by
 * the next one in the data set that can; while evaluating, its row is left empty (index −1).
 * @throws DataError when an epoch would have no batch
 */
export function createLoader(dataset: ClassDataset, pool: BatchPool, options: LoaderOptions): Loader {
  const { batchSize, signal } = options;
  const isTraining = options.pictures.kind === 'train';
  const { seed = 0, shuffle = isTraining, lastBatch = isTraining ? 'drop' : 'pad' } = options;
  const total = dataset.samples.length;
  const steps = lastBatch === 'drop' ? Math.floor(total / batchSize) : Math.ceil(total / batchSize);
  if (!Number.isSafeInteger(batchSize) || batchSize < 1 || steps < 1) {
    throw new DataError(
      `data "${dataset.name}": expected a batch size from 1 to its ${total} pictures, found ${batchSize}.`,
      { batchSize, pictures: total },
    );
  }
  const cache = createPictureCache(options.cacheBytes ?? 0);
  const broken = new Map<number, BrokenPicture>();
  const spare: BatchBuffers[] = [];
  const counts = { batches: 0, pictures: 0, waitMs: 0, workMs: 0 };

  const sampleAt = (index: number): number | undefined => {
    if (!broken.has(index)) return index;
    if (!isTraining) return undefined;
    for (let n = 1; n < total; n++) {
      const other = (index + n) % total;
      if (!broken.has(other)) return other;
    }
    throw new DataError(
      `data "${dataset.name}": none of its ${total} pictures can be read; the first: ${broken.get(0)?.reason}`,
      { pictures: total },
    );
  };

  const slotAt = async (index: number | undefined): Promise<Slot | undefined> => {
    const sample = index === undefined ? undefined : dataset.samples[index];
    if (index === undefined || !sample) return undefined;
    const picture = cache.get(index);
    const slot = { index, path: sample.path, target: sample.target, keep: !picture && cache.hasRoom() };
    if (picture) return { ...slot, picture };
    if (pool.readsFiles && dataset.files.location !== undefined) return slot;
    const bytes = await dataset.files.read(sample.path).catch((cause: unknown) => {
      note({ path: sample.path, reason: cause instanceof Error ? cause.message : String(cause) }, index);
    });
    return bytes ? { ...slot, bytes } : slotAt(sampleAt(index));
  };

  const note = (picture: BrokenPicture, index: number): void => {
    if (broken.has(index)) return;
    broken.set(index, picture);
    options.onBroken?.(picture);
  };

  const accept = (result: BatchResult): void => {
    counts.workMs += result.ms;
    for (const { index, picture } of result.decoded) cache.put(index, picture);
    for (const { index, path, reason } of result.broken) note({ path, reason }, index);
  };

  const makeStep = async (
    order: Uint32Array,
    epoch: number,
    step: number,
    pictures: BatchPictures,
  ): Promise<Batch> => {
    const rows = [...order.subarray(step * batchSize, (step + 1) * batchSize)];
    const padding = lastBatch === 'pad' ? batchSize - rows.length : 0;
    for (;;) {
      signal?.throwIfAborted();
      const slots = await Promise.all([
        ...rows.map((index) => slotAt(sampleAt(index))),
        ...Array.from({ length: padding }, () => undefined),
      ]);
      const { location } = dataset.files;
      const { length: classes } = dataset.classes;
      const task = { slots, pictures, classes, seed, epoch, step, location, shrink: options.shrink };
      const result = await pool.make({ ...task, buffers: spare.pop() });
      accept(result);
      if (result.broken.length === 0) return toBatch(step, slots, pictures, result, spare);
    }
  };

  async function* epoch(
    number: number,
    { from = 0, ...change }: EpochOptions = {},
  ): AsyncGenerator<Batch, void, void> {
    const order = epochOrder(total, shuffle, seed, number);
    const pictures =
      options.pictures.kind === 'train' ? { ...options.pictures, ...change } : options.pictures;
    const making: Promise<Batch>[] = [];
    let next = from;
    const startMore = (most: number): void => {
      for (; next < steps && making.length < most; next++) {
        const batch = makeStep(order, number, next, pictures);
        batch.catch(() => {}); // whoever takes it meets the failure
        making.push(batch);
      }
    };
    for (;;) {
      signal?.throwIfAborted();
      startMore(pool.ahead + 1);
      const first = making.shift();
      if (!first) return;
      const start = performance.now();
      const batch = await orAborted(first, signal);
      counts.waitMs += performance.now() - start;
      counts.batches++;
      counts.pictures += batch.indices.reduce((sum, index) => sum + (index < 0 ? 0 : 1), 0);
      startMore(pool.ahead);
      yield batch;
    }
  }

  const stats = (): LoaderStats => ({
    ...counts,
    cachedPictures: cache.count(),
    cachedBytes: cache.bytes(),
    broken: [...broken.values()],
  });
  return { steps, epoch, stats };
}

function toBatch(
  step: number,
  slots: readonly (Slot | undefined)[],
  pictures: BatchPictures,
  { images, targets }: BatchBuffers,
  spare: BatchBuffers[],
): Batch {
  let released = false;
  return {
    step,
    images,
    targets,
    indices: Int32Array.from(slots, (slot) => slot?.index ?? -1),
    ...pictureSize(pictures),
    normalization: normalizationOf(pictures),
    release: () => {
      if (!released) spare.push({ images, targets });
      released = true;
    },
  };
}

/** Settles with the promise, or rejects as soon as the signal is aborted. */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
