import * as v from 'valibot';
import { DataError } from '../../errors.ts';
import { IGNORE } from '../../image/index-map.ts';
import { baseName } from './pictures.ts';
import { type Source, textLines } from './reading.ts';

/** In a coding: a stored number that is neither a class nor ignored. */
export const UNKNOWN = 254;

/** Classes of a mask and the numbers that stand for them. */
export interface MaskClasses {
  readonly classes: readonly string[];
  /** Stored number of each class. */
  readonly values: readonly number[];
  readonly ignored: readonly number[];
}

const byte = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(255));
const classFile = v.looseObject({
  classes: v.pipe(
    v.array(v.union([v.string(), v.looseObject({ id: byte, name: v.string() })])),
    v.minLength(1),
  ),
  ignore_index: v.optional(byte),
});

const vocObjects =
  'aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person pottedplant sheep sofa train tvmonitor'.split(
    ' ',
  );

const counted = (classes: readonly string[], first = 0): number[] => classes.map((_, i) => i + first);

/** Pascal VOC: background and 20 objects, outlines are ignored. */
const vocClasses: MaskClasses = {
  classes: ['background', ...vocObjects],
  values: counted(['', ...vocObjects]),
  ignored: [255],
};

/** Names from a `classes.txt` (or the like), one a line; undefined where there is none. */
export async function listedNames(source: Source): Promise<string[] | undefined> {
  const path = source.entries.files.find((file) =>
    /^(classes|labels|obj|_darknet)\.(txt|names|labels)$/i.test(baseName(file)),
  );
  return path === undefined ? undefined : textLines(await source.text(path)).map(({ text }) => text);
}

/**
 * What numbers in masks mean: `classes.json` (`{ classes: [{ id, name }], ignore_index }`), ADE20K's
 * `objectInfo150.txt` (numbers from 1; 0 is ignored), or `classes.txt` (numbers from 0). Without a file and
 * with VOC's folders, Pascal VOC's. 255 is ignored unless it is a class.
 * @throws DataError when no class list is found, or one is not as described
 */
export async function maskClasses(source: Source): Promise<MaskClasses> {
  const find = (pattern: RegExp): string | undefined =>
    source.entries.files.find((path) => pattern.test(baseName(path)));
  const [json, ade] = [find(/^classes\.json$/i), find(/^objectInfo150\.(txt|csv)$/i)];
  if (json !== undefined) return fromJson(await source.text(json), `${source.files.name}/${json}`);
  if (ade !== undefined) return fromAde(await source.text(ade));
  const names = await listedNames(source);
  if (names) return { classes: names, values: counted(names), ignored: [255] };
  if (source.entries.folders.some((path) => baseName(path) === 'SegmentationClass')) return vocClasses;
  throw new DataError(
    `data "${source.files.name}": masks need the names of their classes; put a classes.txt (one a line, from number 0) ` +
      'or classes.json ({"classes": [{"id": 0, "name": "sky"}], "ignore_index": 255}) beside them.',
    { path: source.files.name },
  );
}

function fromJson(text: string, where: string): MaskClasses {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new DataError(
      `${where}: not JSON (${cause instanceof Error ? cause.message : cause}).`,
      {},
      { cause },
    );
  }
  const result = v.safeParse(classFile, json);
  if (!result.success) {
    const [issue] = result.issues;
    throw new DataError(`${where}: ${v.getDotPath(issue) ?? 'root'}: ${issue.message}.`);
  }
  const { classes, ignore_index } = result.output;
  const rows = classes.map((item, i) => (typeof item === 'string' ? { id: i, name: item } : item));
  const kept = rows.filter(({ id }) => id !== ignore_index);
  return {
    classes: kept.map(({ name }) => name),
    values: kept.map(({ id }) => id),
    ignored: ignore_index === undefined ? [255] : [ignore_index, 255],
  };
}

/** Columns index, ratio, train, val, names; the first line names them. */
function fromAde(text: string): MaskClasses {
  const classes = textLines(text)
    .slice(1)
    .map(({ text: line }) => (line.split(/\t|\s{2,}/).at(-1) ?? '').split(/[;,]/)[0]?.trim() ?? '');
  return { classes, values: counted(classes, 1), ignored: [0, 255] };
}

/** @throws DataError when two classes share a number, or there are more than 254 */
export function maskCoding({ classes, values, ignored }: MaskClasses): Uint8Array {
  const coding = new Uint8Array(256).fill(UNKNOWN);
  for (const value of ignored) coding[value] = IGNORE;
  if (new Set(values).size !== values.length || classes.length > UNKNOWN)
    throw new DataError(
      `mask classes: expected at most ${UNKNOWN} classes with a number each, found ${classes.length} with ${new Set(values).size} numbers.`,
    );
  values.forEach((value, index) => {
    coding[value] = index;
  });
  return coding;
}
