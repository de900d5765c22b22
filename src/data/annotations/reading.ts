import type { ImageDecoder } from '../../image/codec.ts';
import type { SplitName } from '../class-splits.ts';
import type { IgnoredFile, Sample } from '../dataset.ts';
import type { DataEntries, DataFiles } from '../files.ts';
import type { Annotation, CategoryId } from './annotated.ts';
import type { Finding } from './findings.ts';
import { type PictureFinder, pictureFinder } from './pictures.ts';

/** What a format's reader works on. */
export interface Source {
  readonly files: DataFiles;
  readonly entries: DataEntries;
  readonly pictures: PictureFinder;
  readonly decoder: ImageDecoder;
  readonly text: (path: string) => Promise<string>;
}

/** What a format's reader makes of it. */
export interface Reading {
  readonly classes: readonly string[];
  /** COCO's ids of the classes, where the data gives them. */
  readonly categoryIds?: readonly CategoryId[];
  readonly coding?: Uint8Array;
  readonly samples: Readonly<Partial<Record<SplitName, readonly Sample<Annotation>[]>>>;
  readonly findings: readonly Finding[];
  readonly ignored: readonly IgnoredFile[];
}

export function sourceOf(files: DataFiles, entries: DataEntries, decoder: ImageDecoder): Source {
  const text = async (path: string): Promise<string> =>
    new TextDecoder().decode(await files.read(path)).replace(/^\ufeff/, '');
  return { files, entries, pictures: pictureFinder(entries.files), decoder, text };
}

/** Samples by part, as readers collect them. */
export type SampleParts = Partial<Record<SplitName, Sample<Annotation>[]>>;

export function addSample(parts: SampleParts, split: SplitName, sample: Sample<Annotation>): void {
  const part = parts[split] ?? [];
  parts[split] = part;
  part.push(sample);
}

/** Lines that are neither empty nor comments, with their numbers from 1. */
export function textLines(text: string): { readonly line: number; readonly text: string }[] {
  return text.split(/\r?\n/).flatMap((content, index) => {
    const trimmed = content.trim();
    return trimmed === '' || trimmed.startsWith('#') ? [] : [{ line: index + 1, text: trimmed }];
  });
}

/** Runs at most eight at a time, results in order. */
export async function eachInOrder<T, R>(
  items: readonly T[],
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += 8)
    results.push(...(await Promise.all(items.slice(at, at + 8).map((item, i) => work(item, at + i)))));
  return results;
}
