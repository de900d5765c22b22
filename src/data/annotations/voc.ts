import { DataError } from '../../errors.ts';
import type { SplitName } from '../class-splits.ts';
import type { IgnoredFile } from '../dataset.ts';
import type { AnnotatedObject, Annotation } from './annotated.ts';
import type { Finding } from './findings.ts';
import { folderOf, splitOfPath, stemOf } from './pictures.ts';
import { addSample, eachInOrder, type Reading, type SampleParts, type Source, textLines } from './reading.ts';
import { childOf, numberOf, parseXml, textOf, type XmlElement } from './xml.ts';

/**
 * Parts by `ImageSets/<kind>/train.txt`, `val.txt`, `test.txt` (first word a line); undefined where there are no such
 * lists. `trainval` is passed over when `train` is there.
 */
export async function listedParts(
  source: Source,
  kind: 'Main' | 'Segmentation',
): Promise<ReadonlyMap<SplitName, readonly string[]> | undefined> {
  const parts = new Map<SplitName, readonly string[]>();
  const pattern = new RegExp(`(^|/)ImageSets/${kind}/([a-z]+)\\.txt$`, 'i');
  for (const path of source.entries.files) {
    const name = pattern.exec(path)?.[2]?.toLowerCase();
    const split = name === 'trainval' ? 'train' : name && splitOfPath(name);
    if (!split || (name === 'trainval' && parts.has('train'))) continue;
    const lines = textLines(await source.text(path));
    parts.set(
      split,
      lines.map(({ text }) => text.split(/\s+/)[0] ?? ''),
    );
  }
  return parts.size > 0 ? parts : undefined;
}

interface Read {
  readonly path: string;
  readonly root?: XmlElement;
  readonly fault?: string;
}

/**
 * Pascal VOC: an XML file a picture. Boxes are xmin, ymin, xmax − xmin, ymax − ymin. Parts by ImageSets/Main where
 * that is, else by folder.
 * @param given names of the classes in order; absent: those that occur, sorted
 */
export async function readVoc(
  source: Source,
  paths: readonly string[],
  given: readonly string[] | undefined,
): Promise<Reading> {
  const lists = await listedParts(source, 'Main');
  const findings: Finding[] = [];
  const reads = await eachInOrder(paths, (path) => readOne(source, path));
  const classes = given ?? occurring(reads);
  const samples: SampleParts = {};
  const ignored: IgnoredFile[] = [];
  const splits = new Map<string, SplitName>();
  for (const [split, names] of lists ?? []) for (const name of names) splits.set(name, split);
  for (const { path, root, fault } of reads) {
    const stem = stemOf(path);
    const split = lists ? splits.get(stem) : (splitOfPath(folderOf(path)) ?? 'train');
    splits.delete(stem);
    if (!split) ignored.push({ path, reason: 'in none of the lists of ImageSets/Main' });
    else if (!root)
      findings.push({ kind: 'malformed', where: path, detail: fault ?? 'not an annotation file' });
    else {
      const named = textOf(root, 'filename') ?? '';
      const picture = source.pictures.byStem(stem, path) ?? source.pictures.byName(named, path);
      if (picture === undefined)
        findings.push({ kind: 'missing', where: path, detail: `no picture "${named || stem}"` });
      else addSample(samples, split, { path: picture, target: annotationOf(root, path, classes, findings) });
    }
  }
  for (const [name, split] of splits)
    findings.push({ kind: 'missing', where: `list ${split}`, detail: `no annotation file for "${name}"` });
  return { classes, samples, findings, ignored };
}

async function readOne(source: Source, path: string): Promise<Read> {
  try {
    const root = parseXml(await source.text(path), path);
    return root.name === 'annotation'
      ? { path, root }
      : { path, fault: `line ${root.line}: expected <annotation>, found <${root.name}>` };
  } catch (cause) {
    if (cause instanceof DataError) return { path, fault: cause.message };
    throw cause;
  }
}

const objectsOf = (root: XmlElement): readonly XmlElement[] =>
  root.children.filter(({ name }) => name === 'object');

function occurring(reads: readonly Read[]): string[] {
  const names = reads.flatMap(({ root }) =>
    (root ? objectsOf(root) : []).map((o) => textOf(o, 'name') ?? ''),
  );
  return [...new Set(names)].filter((name) => name !== '').sort();
}

function annotationOf(
  root: XmlElement,
  path: string,
  classes: readonly string[],
  findings: Finding[],
): Annotation {
  const declared = childOf(root, 'size');
  const [width, height] = [declared && numberOf(declared, 'width'), declared && numberOf(declared, 'height')];
  const objects = objectsOf(root).flatMap((element): AnnotatedObject[] => {
    const where = `${path} line ${element.line}`;
    const name = textOf(element, 'name') ?? '';
    const corners = childOf(element, 'bndbox');
    const [x, y, right, bottom] = ['xmin', 'ymin', 'xmax', 'ymax'].map(
      (key) => corners && numberOf(corners, key),
    );
    if (x === undefined || y === undefined || right === undefined || bottom === undefined) {
      findings.push({ kind: 'malformed', where, detail: 'expected bndbox with xmin, ymin, xmax and ymax' });
      return [];
    }
    const category = classes.indexOf(name);
    if (category < 0) {
      findings.push({ kind: 'unknown-category', where, detail: JSON.stringify(name) });
      return [];
    }
    const box = [x, y, right - x, bottom - y] as const;
    const difficult = numberOf(element, 'difficult') === 1;
    return [{ category, box, crowd: false, difficult, area: box[2] * box[3], where }];
  });
  return { where: path, objects, ...(width && height ? { size: { width, height } } : {}) };
}
