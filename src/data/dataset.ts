import type { DataFiles } from './files.ts';

/** One thing to learn from: a picture and what is to be said of it. */
export interface Sample<Target> {
  /** The picture's path within the data set's files. */
  readonly path: string;
  readonly target: Target;
}

/** Samples in a fixed order; an index into `samples` names one everywhere (loader, reports, metrics). */
export interface Dataset<Target> {
  /** As reports and errors call it, e.g. `photos (train)`. */
  readonly name: string;
  readonly files: DataFiles;
  readonly samples: readonly Sample<Target>[];
}

/** For classification: a target is an index into `classes`. */
export interface ClassDataset extends Dataset<number> {
  readonly classes: readonly string[];
}

/** A file that is no part of the data set, and why. */
export interface IgnoredFile {
  readonly path: string;
  readonly reason: string;
}

/** Where validation pictures come from. */
export type ValidationSource = 'val' | 'test' | 'held out' | 'none';

/** One data set for classification, in the parts that training and evaluation use. Classes are shared. */
export interface ClassSplits {
  readonly name: string;
  readonly classes: readonly string[];
  readonly train: ClassDataset;
  readonly val: ClassDataset | undefined;
  readonly test: ClassDataset | undefined;
  readonly valSource: ValidationSource;
  readonly ignored: readonly IgnoredFile[];
}

const pictureEndings = new Set(
  ['jpg', 'jpeg', 'jpe', 'jfif', 'png', 'webp', 'gif', 'avif', 'tif', 'tiff', 'bmp', 'heic'].map(
    (ending) => `.${ending}`,
  ),
);

/** Whether a file's name says it is a picture; its bytes may say otherwise. */
export function isPictureName(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const dot = name.lastIndexOf('.');
  return dot > 0 && pictureEndings.has(name.slice(dot).toLowerCase());
}

/** Files and folders that systems leave behind; they are passed over without a word. */
export function isHidden(path: string): boolean {
  return path.split('/').some((part) => part.startsWith('.') || part === '__MACOSX' || part === 'Thumbs.db');
}

/** How many samples each class has, in the order of `classes`. */
export function classCounts(dataset: ClassDataset): number[] {
  const counts = dataset.classes.map(() => 0);
  for (const { target } of dataset.samples) counts[target] = (counts[target] ?? 0) + 1;
  return counts;
}
