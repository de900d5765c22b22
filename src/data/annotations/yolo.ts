import { DataError } from '../../errors.ts';
import { type PictureSize, readPictureSize } from '../../image/picture-size.ts';
import type { AnnotatedObject } from './annotated.ts';
import type { Finding } from './findings.ts';
import { folderOf, splitOfPath, stemOf } from './pictures.ts';
import { addSample, eachInOrder, type Reading, type SampleParts, type Source, textLines } from './reading.ts';

const labelLine = /^\d+(\s+[-+.\deE]+){4,}$/;

/** Whether a text's first line is a class number and a box or outline in shares of the picture. */
export const isYoloText = (text: string): boolean => labelLine.test(textLines(text)[0]?.text ?? '');

/**
 * YOLO's text files: a line an object, `class cx cy width height` or `class x y x y x y …`, in shares of the picture.
 * A picture without a text file has no objects. Parts by folder.
 * @param labels paths of the text files
 */
export async function readYolo(
  source: Source,
  labels: readonly string[],
  classes: readonly string[],
): Promise<Reading> {
  const findings: Finding[] = [];
  const samples: SampleParts = {};
  const labelled = new Map<string, string>();
  for (const path of labels) {
    const picture = source.pictures.byStem(stemOf(path), path.replace(/(^|\/)labels\//, '$1images/'));
    if (picture !== undefined) labelled.set(picture, path);
    else findings.push({ kind: 'missing', where: path, detail: `no picture "${stemOf(path)}"` });
  }
  const folders = new Set([...labelled.keys()].map(folderOf));
  const pictures = source.pictures.all.filter((path) => folders.has(folderOf(path)));
  await eachInOrder(pictures, async (path) => {
    const where = labelled.get(path);
    try {
      const size = await readPictureSize(await source.files.read(path), path, source.decoder);
      const lines = where === undefined ? [] : textLines(await source.text(where));
      return { path, where, size, lines };
    } catch (cause) {
      return { path, fault: cause instanceof Error ? cause.message : String(cause) };
    }
  }).then((reads) => {
    for (const read of reads) {
      if (read.fault !== undefined) {
        findings.push({ kind: 'unreadable', where: read.path, detail: read.fault });
        continue;
      }
      const { path, size, lines, where = path } = read;
      const objects = lines.flatMap(({ line, text }): AnnotatedObject[] => {
        const found = objectOf(text, size, classes, `${where} line ${line}`);
        if (!('kind' in found)) return [found];
        findings.push(found);
        return [];
      });
      addSample(samples, splitOfPath(folderOf(path)) ?? 'train', { path, target: { where, objects, size } });
    }
  });
  return { classes, samples, findings, ignored: [] };
}

function objectOf(
  text: string,
  { width, height }: PictureSize,
  classes: readonly string[],
  where: string,
): AnnotatedObject | Finding {
  const [category = -1, ...values] = text.split(/\s+/).map(Number);
  const isBox = values.length === 4;
  const isOutline = values.length >= 6 && values.length % 2 === 0;
  if (!Number.isInteger(category) || !values.every(Number.isFinite) || !(isBox || isOutline))
    return {
      kind: 'malformed',
      where,
      detail: `expected a class and 4 or more numbers, found "${text.slice(0, 60)}"`,
    };
  if (classes[category] === undefined)
    return { kind: 'unknown-category', where, detail: `class ${category} of ${classes.length}` };
  const pixels = values.map((value, i) => value * (i % 2 === 0 ? width : height));
  const common = { category, crowd: false, difficult: false, where };
  if (isBox) {
    const [x = 0, y = 0, w = 0, h = 0] = pixels;
    return { ...common, box: [x - w / 2, y - h / 2, w, h], area: w * h };
  }
  const [xs, ys] = [pixels.filter((_, i) => i % 2 === 0), pixels.filter((_, i) => i % 2 === 1)];
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const box = [left, top, Math.max(...xs) - left, Math.max(...ys) - top] as const;
  return { ...common, box, mask: { kind: 'polygons', polygons: [pixels] }, area: shoelace(xs, ys) };
}

/** Area of a polygon. */
function shoelace(xs: readonly number[], ys: readonly number[]): number {
  const twice = xs.reduce((sum, x, i) => {
    const next = (i + 1) % xs.length;
    return sum + x * (ys[next] ?? 0) - (xs[next] ?? 0) * (ys[i] ?? 0);
  }, 0);
  return Math.abs(twice) / 2;
}

/**
 * `names` of a data.yaml: `[a, b]`, a list of `- a`, or `0: a` by number. Only this key is read.
 * @returns undefined when there is no such key
 * @throws DataError when its value is none of the three
 */
export function yamlNames(text: string, where: string): string[] | undefined {
  const lines = text.split(/\r?\n/).map((line) => line.replace(/\s+#.*$/, ''));
  const at = lines.findIndex((line) => /^names\s*:/.test(line));
  if (at < 0) return undefined;
  const fail = (): never => {
    throw new DataError(
      `${where} line ${at + 1}: names must be [a, b], lines of "- a", or lines of "0: a" in order.`,
      { line: at + 1 },
    );
  };
  const inline = lines[at]?.replace(/^names\s*:\s*/, '').trim() ?? '';
  if (inline !== '') {
    let rest = inline;
    for (let next = at + 1; !rest.endsWith(']') && next < lines.length; next++)
      rest += ` ${lines[next]?.trim()}`;
    const inside = /^\[(.*)\]$/.exec(rest)?.[1] ?? fail();
    return [...inside.matchAll(/\s*("[^"]*"|'[^']*'|[^,]+)\s*(,|$)/g)].map(([, name = '']) => unquoted(name));
  }
  const names: string[] = [];
  for (const line of lines.slice(at + 1)) {
    if (line.trim() === '' || line.trim().startsWith('#')) continue;
    const [, number, name] = /^\s*(?:-|(\d+)\s*:)\s+(.*)$/.exec(line) ?? [];
    if (name === undefined) break;
    if (number !== undefined && Number(number) !== names.length) fail();
    names.push(unquoted(name));
  }
  return names.length > 0 ? names : fail();
}

const unquoted = (text: string): string => text.trim().replace(/^(["'])(.*)\1$/, '$2');
