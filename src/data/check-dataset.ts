import type { ImageDecoder } from '../image/codec.ts';
import type { ClassDataset, ClassSplits, IgnoredFile, ValidationSource } from './dataset.ts';
import { classCounts } from './dataset.ts';

/** A picture that cannot be used, and why. */
export interface BrokenPicture {
  readonly path: string;
  readonly reason: string;
}

/** Files with the same bytes. `kind` is the worst that is true of them. */
export interface Duplicate {
  readonly kind: 'different classes' | 'across parts' | 'same class';
  readonly paths: readonly string[];
}

export interface SplitReport {
  readonly split: 'train' | 'val' | 'test';
  /** Pictures by name, broken ones included. */
  readonly pictures: number;
  /** For each class of the data set, in order. */
  readonly perClass: readonly number[];
}

/** What was found in a data set; `describeDataReport` puts it in words. */
export interface DataReport {
  readonly name: string;
  readonly classes: readonly string[];
  readonly valSource: ValidationSource;
  readonly splits: readonly SplitReport[];
  readonly broken: readonly BrokenPicture[];
  readonly duplicates: readonly Duplicate[];
  readonly ignored: readonly IgnoredFile[];
  /** Classes without a picture to train on, and without one to validate on. */
  readonly emptyClasses: readonly string[];
  readonly unvalidatedClasses: readonly string[];
  /** Largest class of the training part over its smallest that is not empty. */
  readonly imbalance: number;
  /** Short sides in pixels of the pictures that decode; undefined when none does. */
  readonly shortSide: { readonly min: number; readonly median: number; readonly max: number } | undefined;
}

export interface CheckOptions {
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
  /** Pictures decoded at a time. */
  readonly concurrency?: number;
}

interface Seen {
  readonly path: string;
  readonly split: SplitReport['split'];
  readonly target: number;
  hash?: string;
  fault?: string;
  shortSide?: number;
}

/**
 * Reads and decodes every picture once: what is broken, what occurs twice, how many each class has.
 * @throws whatever the signal was aborted with; broken pictures are found, not thrown
 */
export async function checkDataset(
  data: ClassSplits,
  decoder: ImageDecoder,
  options: CheckOptions = {},
): Promise<DataReport> {
  const parts = partsOf(data);
  const seen = parts.flatMap(([split, { samples }]) =>
    samples.map(({ path, target }): Seen => ({ path, split, target })),
  );
  await inspectAll(seen, data, decoder, options);
  const splits = parts.map(([split, part]) => ({
    split,
    pictures: part.samples.length,
    perClass: classCounts(part),
  }));
  const trained = splits.find(({ split }) => split === 'train')?.perClass ?? [];
  const present = trained.filter((count) => count > 0);
  const validated = data.val && classCounts(data.val);
  const missing = (counts: readonly number[] | undefined): string[] =>
    counts ? data.classes.filter((_, index) => counts[index] === 0) : [];
  return {
    name: data.name,
    classes: data.classes,
    valSource: data.valSource,
    splits,
    broken: seen.flatMap(({ path, fault }) => (fault === undefined ? [] : [{ path, reason: fault }])),
    duplicates: findDuplicates(seen),
    ignored: data.ignored,
    emptyClasses: missing(trained),
    unvalidatedClasses: missing(validated),
    imbalance: present.length > 0 ? Math.max(...present) / Math.min(...present) : 1,
    shortSide: summarize(seen.flatMap(({ shortSide }) => shortSide ?? [])),
  };
}

function partsOf(data: ClassSplits): (readonly [SplitReport['split'], ClassDataset])[] {
  const parts: (readonly [SplitReport['split'], ClassDataset])[] = [['train', data.train]];
  if (data.val && data.valSource !== 'test') parts.push(['val', data.val]);
  if (data.test) parts.push(['test', data.test]);
  return parts;
}

async function inspectAll(
  seen: readonly Seen[],
  data: ClassSplits,
  decoder: ImageDecoder,
  { onProgress, signal, concurrency = 4 }: CheckOptions,
): Promise<void> {
  let next = 0;
  let done = 0;
  const work = async (): Promise<void> => {
    for (let item = seen[next++]; item; item = seen[next++]) {
      signal?.throwIfAborted();
      await inspect(item, data, decoder);
      done++;
      onProgress?.(done, seen.length);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
}

async function inspect(item: Seen, data: ClassSplits, decoder: ImageDecoder): Promise<void> {
  try {
    const bytes = await data.train.files.read(item.path);
    item.hash = await contentHash(bytes);
    const { width, height } = await decoder.decode(bytes, { name: item.path });
    item.shortSide = Math.min(width, height);
  } catch (cause) {
    item.fault = cause instanceof Error ? cause.message : String(cause);
  }
}

async function contentHash(bytes: Uint8Array): Promise<string> {
  const digest = await globalThis.crypto.subtle.digest('SHA-256', new Uint8Array(bytes));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

function findDuplicates(seen: readonly Seen[]): Duplicate[] {
  const groups = new Map<string, Seen[]>();
  for (const item of seen) {
    if (item.hash === undefined) continue;
    const group = groups.get(item.hash);
    if (group) group.push(item);
    else groups.set(item.hash, [item]);
  }
  return [...groups.values()].flatMap((group): Duplicate[] => {
    if (group.length < 2) return [];
    const oneClass = new Set(group.map(({ target }) => target)).size === 1;
    const onePart = new Set(group.map(({ split }) => split)).size === 1;
    const kind = !oneClass ? 'different classes' : onePart ? 'same class' : 'across parts';
    return [{ kind, paths: group.map(({ path }) => path) }];
  });
}

function summarize(sides: readonly number[]): DataReport['shortSide'] {
  const sorted = [...sides].sort((a, b) => a - b);
  const [min] = sorted;
  const [median, max] = [sorted[sorted.length >> 1], sorted.at(-1)];
  return min === undefined || median === undefined || max === undefined ? undefined : { min, median, max };
}
