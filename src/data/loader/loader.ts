import { DataError } from '../../errors.ts';
import type { Annotation } from '../annotations/annotated.ts';
import type { BrokenPicture } from '../check-dataset.ts';
import type { Batch, BatchPictures, BatchPool } from './batch.ts';
import { type BatchSourceStats, createBatchSource, type LoadedDataset } from './batch-source.ts';
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
  /** Instead of the loader's; of the same kind. The same object for epochs that are alike lets them overlap. */
  readonly pictures?: BatchPictures;
}

export interface LoaderStats extends BatchSourceStats {
  readonly batches: number;
  readonly pictures: number;
  /** Time the consumer waited for batches. */
  readonly waitMs: number;
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
 * @throws DataError when an epoch would have no batch, pictures no common size, or a target no class
 */
export function createLoader(dataset: LoadedDataset, pool: BatchPool, options: LoaderOptions): Loader {
  const { batchSize, signal } = options;
  const isTraining = options.pictures.kind !== 'eval';
  const { seed = 0, shuffle = isTraining, lastBatch = isTraining ? 'drop' : 'pad' } = options;
  const total = dataset.samples.length;
  const steps = lastBatch === 'drop' ? Math.floor(total / batchSize) : Math.ceil(total / batchSize);
  if (!Number.isSafeInteger(batchSize) || batchSize < 1 || steps < 1) {
    throw new DataError(
      `data "${dataset.name}": expected a batch size from 1 to its ${total} pictures, found ${batchSize}.`,
      { batchSize, pictures: total },
    );
  }
  checkPlan(dataset, options);
  const source = createBatchSource(dataset, pool, {
    seed,
    replaceBroken: isTraining,
    cacheBytes: options.cacheBytes ?? 0,
    shrink: options.shrink,
    onBroken: options.onBroken,
    signal,
  });
  const counts = { batches: 0, pictures: 0, waitMs: 0 };
  const rowsOf = (order: Uint32Array, step: number): (number | undefined)[] => {
    const rows = [...order.subarray(step * batchSize, (step + 1) * batchSize)];
    const padding = lastBatch === 'pad' ? batchSize - rows.length : 0;
    return [...rows, ...Array.from({ length: padding }, () => undefined)];
  };

  /** An epoch under way: batches being made, in order. */
  const startRun = (number: number, from: number, change: RunChange): Run => {
    const order = epochOrder(total, shuffle, seed, number);
    const { pictures: whole = options.pictures, ...parts } = change;
    const pictures = whole.kind === 'eval' ? whole : { ...whole, ...parts };
    const making: Promise<Batch>[] = [];
    let next = from;
    return {
      key: runKey(number, from, change),
      take: () => making.shift(),
      startMore: (most) => {
        for (; next < steps && making.length < most; next++) {
          const batch = source.make(rowsOf(order, next), pictures, number, next);
          batch.catch(() => {}); // whoever takes it meets the failure
          making.push(batch);
        }
        return making.length;
      },
    };
  };

  // Threads that have nothing left to do in an epoch begin the next one, which will most likely be asked for as this
  // one was; otherwise a few batches were made for nothing.
  let upcoming: Run | undefined;

  async function* epoch(
    number: number,
    { from = 0, ...change }: EpochOptions = {},
  ): AsyncGenerator<Batch, void, void> {
    const asked = runKey(number, from, change);
    const run = upcoming && sameKey(upcoming.key, asked) ? upcoming : startRun(number, from, change);
    upcoming = undefined;
    for (;;) {
      signal?.throwIfAborted();
      run.startMore(pool.ahead + 1);
      const first = run.take();
      if (!first) return;
      const start = performance.now();
      const batch = await orAborted(first, signal);
      counts.waitMs += performance.now() - start;
      counts.batches++;
      counts.pictures += batch.indices.reduce((sum, index) => sum + (index < 0 ? 0 : 1), 0);
      const left = run.startMore(pool.ahead);
      if (isTraining && left < pool.ahead) {
        upcoming ??= startRun(number + 1, 0, change);
        upcoming.startMore(pool.ahead - left);
      }
      yield batch;
    }
  }

  return { steps, epoch, stats: () => ({ ...counts, ...source.stats() }) };
}

type RunChange = Omit<EpochOptions, 'from'>;

interface Run {
  /** What it was started with. */
  readonly key: readonly unknown[];
  /** The next batch; undefined when there is none left, or none was started. */
  readonly take: () => Promise<Batch> | undefined;
  /** Has up to `most` batches made ahead. @returns how many are */
  readonly startMore: (most: number) => number;
}

const runKey = (epoch: number, from: number, { size, strength, pictures }: RunChange): readonly unknown[] => [
  epoch,
  from,
  size,
  strength,
  pictures,
];

const sameKey = (a: readonly unknown[], b: readonly unknown[]): boolean =>
  a.every((value, i) => value === b[i]);

/** @throws DataError for pictures or targets that cannot be put in a batch */
function checkPlan({ name, classes, samples }: LoadedDataset, { pictures }: LoaderOptions): void {
  if (pictures.kind === 'eval' && !pictures.transform.crop && pictures.transform.resize.kind === 'shortest')
    throw new DataError(
      `data "${name}": pictures of a batch need one size, but the eval transform has no crop and keeps proportions; ` +
        'give it a crop, or resize exactly.',
    );
  for (const { path, target } of samples) {
    const fault = targetFault(target, pictures.kind, classes.length);
    if (fault !== undefined) throw new DataError(`data "${name}": "${path}" ${fault}.`, { path });
  }
}

/** What keeps a target from being learned as these pictures want it. */
function targetFault(
  target: number | Annotation,
  kind: BatchPictures['kind'],
  classes: number,
): string | undefined {
  const isClass = (index: number): boolean => Number.isSafeInteger(index) && index >= 0 && index < classes;
  if (typeof target === 'number') {
    if (kind === 'detect' || kind === 'segment') return 'has a class, where objects or a mask are expected';
    return isClass(target) ? undefined : `has target ${target}, which is none of the ${classes} classes`;
  }
  if (kind === 'train') return 'has objects or a mask, where a class is expected';
  if (kind === 'segment' && target.classMask === undefined) return 'has no class mask';
  const strange = target.objects.find(({ category }) => !isClass(category));
  return strange && `has an object (${strange.where}) of category ${strange.category} of ${classes}`;
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
