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

export interface BatchSourceOptions {
  readonly seed: number;
  /** Whether another sample stands in for one that is broken. */
  readonly replaceBroken: boolean;
  readonly cacheBytes: number;
  readonly shrink: number | undefined;
  readonly onBroken: ((picture: BrokenPicture) => void) | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Has batches made of samples, whatever the order they are asked for in. */
export interface BatchSource {
  /** @param rows indices into the data set's samples; undefined leaves a row empty */
  readonly make: (
    rows: readonly (number | undefined)[],
    pictures: BatchPictures,
    epoch: number,
    step: number,
  ) => Promise<Batch>;
  readonly stats: () => BatchSourceStats;
}

export interface BatchSourceStats {
  /** Time spent making batches, on all threads together. */
  readonly workMs: number;
  readonly cachedPictures: number;
  readonly cachedBytes: number;
  readonly broken: readonly BrokenPicture[];
}

export function createBatchSource(
  dataset: ClassDataset,
  pool: BatchPool,
  options: BatchSourceOptions,
): BatchSource {
  const { seed, shrink, signal } = options;
  const { location } = dataset.files;
  const { length: classes } = dataset.classes;
  const cache = createPictureCache(options.cacheBytes);
  const broken = brokenSamples(dataset, options);
  const spare: BatchBuffers[] = [];
  let workMs = 0;

  const slotAt = async (wanted: number | undefined): Promise<Slot | undefined> => {
    const index = wanted === undefined ? undefined : broken.standIn(wanted);
    const sample = index === undefined ? undefined : dataset.samples[index];
    if (index === undefined || !sample) return undefined;
    const picture = cache.get(index);
    const slot = { index, path: sample.path, target: sample.target, keep: !picture && cache.hasRoom() };
    if (picture) return { ...slot, picture };
    if (pool.readsFiles && location !== undefined) return slot;
    const bytes = await dataset.files.read(sample.path).catch((cause: unknown) => {
      broken.note(index, cause instanceof Error ? cause.message : String(cause));
    });
    return bytes ? { ...slot, bytes } : slotAt(index);
  };

  const accept = (result: BatchResult): void => {
    workMs += result.ms;
    for (const { index, picture } of result.decoded) cache.put(index, picture);
    for (const { index, reason } of result.broken) broken.note(index, reason);
  };

  const make: BatchSource['make'] = async (rows, pictures, epoch, step) => {
    for (;;) {
      signal?.throwIfAborted();
      const slots = await Promise.all(rows.map(slotAt));
      const task = { slots, pictures, classes, seed, epoch, step, location, shrink };
      const result = await pool.make({ ...task, buffers: spare.pop() });
      accept(result);
      if (result.broken.length === 0) return toBatch(step, slots, pictures, result, spare);
    }
  };
  const stats = (): BatchSourceStats => ({
    workMs,
    cachedPictures: cache.count(),
    cachedBytes: cache.bytes(),
    broken: broken.list(),
  });
  return { make, stats };
}

/** Samples found to be broken, and who stands in for them: the next one in the data set that is not. */
function brokenSamples(dataset: ClassDataset, { replaceBroken, onBroken }: BatchSourceOptions) {
  const broken = new Map<number, BrokenPicture>();
  const total = dataset.samples.length;
  return {
    list: () => [...broken.values()],
    note: (index: number, reason: string): void => {
      const path = dataset.samples[index]?.path;
      if (broken.has(index) || path === undefined) return;
      broken.set(index, { path, reason });
      onBroken?.({ path, reason });
    },
    standIn: (index: number): number | undefined => {
      if (!broken.has(index)) return index;
      if (!replaceBroken) return undefined;
      for (let n = 1; n < total; n++) {
        const other = (index + n) % total;
        if (!broken.has(other)) return other;
      }
      throw new DataError(
        `data "${dataset.name}": none of its ${total} pictures can be read; the first: ${broken.get(0)?.reason}`,
        { pictures: total },
      );
    },
  };
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
