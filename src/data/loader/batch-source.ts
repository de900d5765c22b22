import { DataError } from '../../errors.ts';
import { createRandom, deriveSeed } from '../../tensor/random.ts';
import type { AnnotatedDataset, Annotation } from '../annotations/annotated.ts';
import type { BrokenPicture } from '../check-dataset.ts';
import type { ClassDataset } from '../dataset.ts';
import {
  type Batch,
  type BatchBuffers,
  type BatchPictures,
  type BatchPool,
  type BatchResult,
  type JointTarget,
  normalizationOf,
  pictureSize,
  type Row,
  type Slot,
} from './batch.ts';
import { createPictureCache } from './picture-cache.ts';
import { mosaicStream } from './streams.ts';

/** What batches are made of: pictures with a class each, or with objects and masks. */
export type LoadedDataset = ClassDataset | AnnotatedDataset;

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
  dataset: LoadedDataset,
  pool: BatchPool,
  options: BatchSourceOptions,
): BatchSource {
  const { seed, shrink, signal } = options;
  const { location } = dataset.files;
  const { length: classes } = dataset.classes;
  const coding = 'coding' in dataset ? dataset.coding : undefined;
  const cache = createPictureCache(options.cacheBytes);
  const broken = brokenSamples(dataset, options);
  const spare: BatchBuffers[] = [];
  let workMs = 0;

  const slotAt = async (wanted: number | undefined): Promise<Slot | undefined> => {
    const index = wanted === undefined ? undefined : broken.standIn(wanted);
    const sample = index === undefined ? undefined : dataset.samples[index];
    if (index === undefined || !sample) return undefined;
    const contents = cache.get(index);
    const target = slotTarget(sample.target);
    const slot = { index, path: sample.path, target, keep: !contents && cache.hasRoom() };
    if (contents) return { ...slot, contents };
    if (pool.readsFiles && location !== undefined) return slot;
    try {
      const bytes = await dataset.files.read(sample.path);
      const mask = typeof target === 'number' ? undefined : target.classMask;
      return mask === undefined
        ? { ...slot, bytes }
        : { ...slot, bytes, maskBytes: await dataset.files.read(mask) };
    } catch (cause) {
      broken.note(index, cause instanceof Error ? cause.message : String(cause));
      return slotAt(index);
    }
  };

  const rowAt = async (
    wanted: number | undefined,
    pictures: BatchPictures,
    epoch: number,
  ): Promise<Row | undefined> => {
    const first = await slotAt(wanted);
    if (!first) return undefined;
    const others = mosaicPartners(pictures, dataset.samples.length, [seed, epoch, first.index]);
    const joined = await Promise.all(others.map(slotAt));
    return [first, ...joined.flatMap((slot) => slot ?? [])];
  };

  const accept = (result: BatchResult): void => {
    workMs += result.ms;
    for (const { index, contents } of result.decoded) cache.put(index, contents);
    for (const { index, reason } of result.broken) broken.note(index, reason);
  };

  const make: BatchSource['make'] = async (wanted, pictures, epoch, step) => {
    for (;;) {
      signal?.throwIfAborted();
      const rows = await Promise.all(wanted.map((index) => rowAt(index, pictures, epoch)));
      const task = { rows, pictures, classes, coding, seed, epoch, step, location, shrink };
      const result = await pool.make({ ...task, buffers: spare.pop() });
      accept(result);
      if (result.broken.length === 0) return toBatch(step, rows, pictures, result, spare);
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

/** What a worker needs to know of a sample; objects' masks stay here. */
function slotTarget(target: number | Annotation): number | JointTarget {
  if (typeof target === 'number') return target;
  const { objects, classMask, size } = target;
  return {
    objects: objects.map(({ category, box, crowd }) => ({ category, box, crowd })),
    ...(classMask === undefined ? {} : { classMask }),
    ...(size && { size }),
  };
}

/** The three samples that one of a training epoch is joined with, if it is: any, by its own seed. */
function mosaicPartners(
  pictures: BatchPictures,
  total: number,
  [seed, epoch, index]: readonly [seed: number, epoch: number, index: number],
): readonly number[] {
  if (pictures.kind !== 'detect' || pictures.augmentation.mosaic === null) return [];
  const random = createRandom(deriveSeed(seed, mosaicStream, epoch, index));
  if (random.uniform() >= pictures.augmentation.mosaic.chance * pictures.strength) return [];
  return [0, 1, 2].map(() => random.integer(total));
}

/** Samples found to be broken, and who stands in for them: the next one in the data set that is not. */
function brokenSamples(dataset: LoadedDataset, { replaceBroken, onBroken }: BatchSourceOptions) {
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
  rows: readonly (Row | undefined)[],
  pictures: BatchPictures,
  { images, targets, offsets, sizes }: BatchResult,
  spare: BatchBuffers[],
): Batch {
  let released = false;
  return {
    step,
    images,
    targets,
    offsets,
    indices: Int32Array.from(rows, (row) => row?.[0].index ?? -1),
    sizes,
    ...pictureSize(pictures),
    normalization: normalizationOf(pictures),
    release: () => {
      if (!released) spare.push({ images, targets, offsets });
      released = true;
    },
  };
}
