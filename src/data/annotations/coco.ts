import * as v from 'valibot';
import { DataError } from '../../errors.ts';
import { type MaskRle, maskArea, parseRle, rleOf } from '../../metrics/detection/mask-rle.ts';
import type { IgnoredFile } from '../dataset.ts';
import type { AnnotatedObject, ObjectMask } from './annotated.ts';
import type { Finding } from './findings.ts';
import { splitOfPath } from './pictures.ts';
import { addSample, type Reading, type SampleParts, type Source } from './reading.ts';

const number = v.pipe(v.number(), v.finite());
const id = v.union([v.pipe(v.number(), v.integer()), v.string()]);
const side = v.pipe(v.number(), v.integer(), v.minValue(1));
const header = v.looseObject({
  images: v.array(
    v.looseObject({ id, file_name: v.string(), width: v.optional(side), height: v.optional(side) }),
  ),
  annotations: v.array(v.unknown()),
  categories: v.pipe(v.array(v.looseObject({ id, name: v.string() })), v.minLength(1)),
});
const polygon = v.pipe(
  v.array(number),
  v.minLength(6),
  v.check((corners) => corners.length % 2 === 0, 'corners must be pairs'),
);
const runs = v.looseObject({
  size: v.tuple([side, side]),
  counts: v.union([v.string(), v.array(number)]),
});
const entry = v.looseObject({
  id: v.optional(id),
  image_id: id,
  category_id: id,
  bbox: v.tuple([number, number, number, number]),
  segmentation: v.optional(v.nullable(v.union([v.array(polygon), runs]))),
  iscrowd: v.optional(v.union([v.literal(0), v.literal(1), v.boolean()])),
  area: v.optional(number),
});
type Header = v.InferOutput<typeof header>;
type Entry = v.InferOutput<typeof entry>;

/** Whether parsed JSON is COCO's, judged by its three lists. */
export const isCoco = (json: unknown): boolean =>
  v.is(
    v.looseObject({
      images: v.array(v.unknown()),
      annotations: v.array(v.unknown()),
      categories: v.array(v.unknown()),
    }),
    json,
  );

/** An annotation file and what it parses to. */
export interface CocoFile {
  readonly path: string;
  readonly json: unknown;
}

/**
 * COCO's JSON, one file a part. Classes are the categories of the training file in the order of their ids (which may
 * have gaps); other files' categories are matched by name. Of several files for one part the first with masks is taken.
 * @throws DataError when images, categories or the file as a whole are not as COCO's format asks
 * @see https://cocodataset.org/#format-data
 */
export function readCoco(source: Source, files: readonly CocoFile[]): Reading {
  const ignored: IgnoredFile[] = [];
  const chosen = new Map<'train' | 'val' | 'test', CocoFile & { readonly header: Header }>();
  const ordered = [...files].sort((a, b) => Number(hasMasks(b.json)) - Number(hasMasks(a.json)));
  for (const file of ordered) {
    const split = splitOfPath(file.path) ?? 'train';
    const taken = chosen.get(split);
    if (taken) ignored.push({ path: file.path, reason: `the ${split} part is read from ${taken.path}` });
    else chosen.set(split, { ...file, header: checked(file, source.files.name) });
  }
  const first = chosen.get('train') ?? [...chosen.values()][0];
  const categories = [...(first?.header.categories ?? [])].sort(byId);
  const classes = categories.map(({ name }) => name);
  const findings: Finding[] = [];
  const samples: SampleParts = {};
  for (const [split, file] of chosen)
    for (const sample of readFile(source, file, classes, findings)) addSample(samples, split, sample);
  return { classes, categoryIds: categories.map((category) => category.id), samples, findings, ignored };
}

const byId = (a: { id: number | string }, b: { id: number | string }): number =>
  typeof a.id === 'number' && typeof b.id === 'number' ? a.id - b.id : String(a.id) < String(b.id) ? -1 : 1;

const hasMasks = (json: unknown): boolean =>
  v.is(v.looseObject({ annotations: v.array(v.unknown()) }), json) &&
  json.annotations.some((item) =>
    v.is(v.looseObject({ segmentation: v.union([v.object({}), v.array(v.unknown())]) }), item),
  );

function checked({ path, json }: CocoFile, name: string): Header {
  const result = v.safeParse(header, json);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new DataError(
    `data "${name}/${path}": not as COCO's format asks at ${v.getDotPath(issue) ?? 'its root'}: ${issue.message}.`,
    { path },
  );
}

function readFile(
  source: Source,
  { path, header: { images, annotations, categories } }: CocoFile & { readonly header: Header },
  classes: readonly string[],
  findings: Finding[],
): readonly Parameters<typeof addSample>[2][] {
  const indexOf = new Map(categories.map((category) => [category.id, classes.indexOf(category.name)]));
  const objects = new Map<number | string, AnnotatedObject[]>(images.map((image) => [image.id, []]));
  annotations.forEach((item, index) => {
    const where = `${path} ${describeEntry(item, index)}`;
    const read = readEntry(item, where, objects, indexOf);
    if ('kind' in read) findings.push(read);
    else read.own.push(read.object);
  });
  const seen = new Set<number | string>();
  return images.flatMap(({ id: key, file_name, width, height }) => {
    const where = `${path} image ${key}`;
    if (seen.has(key)) {
      findings.push({ kind: 'malformed', where, detail: 'an image before it has the same id' });
      return [];
    }
    seen.add(key);
    const picture = source.pictures.byName(file_name, path);
    if (picture === undefined) {
      findings.push({ kind: 'missing', where, detail: `no picture "${file_name}" in a folder of this part` });
      return [];
    }
    const size = width !== undefined && height !== undefined ? { size: { width, height } } : {};
    return [{ path: picture, target: { where, objects: objects.get(key) ?? [], ...size } }];
  });
}

function readEntry(
  item: unknown,
  where: string,
  objects: ReadonlyMap<number | string, AnnotatedObject[]>,
  indexOf: ReadonlyMap<number | string, number>,
): Finding | { readonly own: AnnotatedObject[]; readonly object: AnnotatedObject } {
  const result = v.safeParse(entry, item);
  if (!result.success) {
    const [issue] = result.issues;
    return { kind: 'malformed', where, detail: `${v.getDotPath(issue) ?? 'entry'}: ${issue.message}` };
  }
  const { image_id, category_id } = result.output;
  const own = objects.get(image_id);
  const category = indexOf.get(category_id) ?? -1;
  if (!own) return { kind: 'missing', where, detail: `image_id ${image_id} is no image of the file` };
  if (category < 0) return { kind: 'unknown-category', where, detail: `category_id ${category_id}` };
  try {
    return { own, object: objectOf(result.output, category, where) };
  } catch (cause) {
    return { kind: 'malformed', where, detail: cause instanceof Error ? cause.message : String(cause) };
  }
}

const describeEntry = (item: unknown, index: number): string => {
  const named = v.is(v.looseObject({ id }), item);
  return named ? `annotation ${item.id}` : `annotations[${index}]`;
};

function objectOf(entryOf: Entry, category: number, where: string): AnnotatedObject {
  const { bbox, segmentation, iscrowd, area } = entryOf;
  const mask = segmentation ? maskOf(segmentation) : undefined;
  const measured = mask?.kind === 'rle' ? maskArea(mask.rle) : bbox[2] * bbox[3];
  return {
    category,
    box: bbox,
    ...(mask && { mask }),
    crowd: iscrowd === 1 || iscrowd === true,
    difficult: false,
    area: area ?? measured,
    where,
  };
}

function maskOf(segmentation: NonNullable<Entry['segmentation']>): ObjectMask | undefined {
  if (Array.isArray(segmentation))
    return segmentation.length === 0 ? undefined : { kind: 'polygons', polygons: segmentation };
  const { size, counts } = segmentation;
  const [height, width] = size;
  const rle: MaskRle =
    typeof counts === 'string' ? parseRle(counts, height, width) : rleOf(counts, height, width);
  return { kind: 'rle', rle };
}
