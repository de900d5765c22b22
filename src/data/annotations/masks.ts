import type { SplitName } from '../class-splits.ts';
import type { IgnoredFile } from '../dataset.ts';
import { type MaskClasses, maskCoding } from './class-list.ts';
import type { Finding } from './findings.ts';
import { folderOf, isInMaskFolder, splitOfPath, stemOf } from './pictures.ts';
import { addSample, type Reading, type SampleParts, type Source } from './reading.ts';
import { listedParts } from './voc.ts';

/** PNG files in folders that are called as mask folders are: masks, annotations, labels, SegmentationClass, …annot. */
export const maskFiles = (files: readonly string[]): string[] => {
  const all = files.filter((path) => /\.png$/i.test(path) && isInMaskFolder(path));
  return all.filter((path) => !/(^|\/)SegmentationObject\//i.test(path));
};

/**
 * Pictures with a PNG each that holds the class of every pixel, of the same name (or with `_mask` after it) in a mask
 * folder. Parts by ImageSets/Segmentation where that is, else by folder.
 */
export async function readMasks(
  source: Source,
  masks: readonly string[],
  list: MaskClasses,
): Promise<Reading> {
  const lists = await listedParts(source, 'Segmentation');
  const splits = new Map<string, SplitName>();
  for (const [split, names] of lists ?? []) for (const name of names) splits.set(name, split);
  const findings: Finding[] = [];
  const samples: SampleParts = {};
  const ignored: IgnoredFile[] = [];
  const used = new Set<string>();
  for (const path of masks) {
    const stem = stemOf(path).replace(/_mask$/i, '');
    const split = lists ? splits.get(stem) : (splitOfPath(folderOf(path)) ?? 'train');
    const picture = source.pictures.byStem(stem, path);
    splits.delete(stem);
    if (picture !== undefined) used.add(picture);
    if (!split) ignored.push({ path, reason: 'in none of the lists of ImageSets/Segmentation' });
    else if (picture === undefined)
      findings.push({ kind: 'missing', where: path, detail: `no picture "${stem}"` });
    else addSample(samples, split, { path: picture, target: { where: path, objects: [], classMask: path } });
  }
  for (const [name, split] of splits)
    findings.push({ kind: 'missing', where: `list ${split}`, detail: `no mask for "${name}"` });
  const folders = new Set([...used].map(folderOf));
  for (const path of lists ? [] : source.pictures.all)
    if (!used.has(path) && folders.has(folderOf(path)))
      findings.push({ kind: 'missing', where: path, detail: 'no mask for this picture' });
  return { classes: list.classes, coding: maskCoding(list), samples, findings, ignored };
}
