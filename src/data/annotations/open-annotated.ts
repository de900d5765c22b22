import { DataError } from '../../errors.ts';
import type { ImageDecoder } from '../../image/codec.ts';
import type { SplitOptions } from '../class-splits.ts';
import { isHidden, type Sample } from '../dataset.ts';
import type { DataFiles } from '../files.ts';
import { holdOut } from '../hold-out.ts';
import type { AnnotatedDataset, AnnotatedSplits, Annotation, AnnotationFormat } from './annotated.ts';
import { listedNames, maskClasses } from './class-list.ts';
import { type CocoFile, isCoco, readCoco } from './coco.ts';
import { drawnMasks, hasObjectMasks } from './drawn-masks.ts';
import { maskFiles, readMasks } from './masks.ts';
import { baseName, stemOf } from './pictures.ts';
import { type Reading, type Source, sourceOf } from './reading.ts';
import { readVoc } from './voc.ts';
import { isYoloText, readYolo, yamlNames } from './yolo.ts';

export interface OpenAnnotatedOptions extends SplitOptions {
  /**
   * Decides which annotations are read where there are both: objects, or masks of classes. Absent: objects. For
   * `segment` the masks of COCO's objects serve where there are no mask files.
   */
  readonly task?: 'detect' | 'segment';
  /** Absent: recognized by what the files hold. */
  readonly format?: AnnotationFormat;
  /** Names of the classes in order, for formats that leave them open (VOC, YOLO, masks from number 0). */
  readonly classes?: readonly string[];
  /** Pictures to judge by are enough; default false. */
  readonly mayLackTraining?: boolean;
}

/** Reads the format if the files hold it. */
type Opener = (source: Source, classes: readonly string[] | undefined) => Promise<Reading | undefined>;

const openers: Readonly<Record<AnnotationFormat, Opener>> = {
  coco: async (source) => {
    const files = await cocoFiles(source);
    return files.length > 0 ? readCoco(source, files) : undefined;
  },
  voc: async (source, given) => {
    const paths = source.entries.files.filter((path) => /\.xml$/i.test(path));
    for (const path of paths.slice(0, 3))
      if ((await source.text(path)).includes('<annotation'))
        return readVoc(source, paths, given ?? (await listedNames(source)));
    return undefined;
  },
  yolo: async (source, given) => {
    const stems = new Set(source.pictures.all.map(stemOf));
    const lists = source.entries.files.filter((path) => /\.txt$/i.test(path));
    const labels = lists.filter((path) => stems.has(stemOf(path)) || /(^|\/)labels\//i.test(path));
    for (const path of labels)
      if (isYoloText(await source.text(path)))
        return readYolo(source, labels, given ?? (await yoloNames(source)));
    return undefined;
  },
  masks: async (source, given) => {
    const masks = maskFiles(source.entries.files);
    if (masks.length === 0) return undefined;
    const counted = given && { classes: given, values: given.map((_, i) => i), ignored: [255] };
    return readMasks(source, masks, counted ?? (await maskClasses(source)));
  },
};

const orders = {
  detect: ['coco', 'voc', 'yolo'],
  segment: ['masks', 'coco'],
  any: ['coco', 'voc', 'yolo', 'masks'],
} as const satisfies Readonly<Record<string, readonly AnnotationFormat[]>>;

/**
 * Annotated pictures, the format recognized by what the files hold: COCO JSON, Pascal VOC XML, YOLO text, or PNG masks
 * of classes. Parts are what folders, file names or ImageSets lists say; without a part to validate on, `test` serves
 * or pictures are held out as for classification. What is wrong with single entries is listed in `findings`;
 * `checkAnnotations` finds the rest.
 * @param decoder for pictures whose header alone does not tell their size (YOLO only)
 * @throws DataError when no format is recognized, a file as a whole is not what it claims, or nothing is to train on
 */
export async function openAnnotated(
  files: DataFiles,
  decoder: ImageDecoder,
  options: OpenAnnotatedOptions = {},
): Promise<AnnotatedSplits> {
  const listed = await files.list();
  const shown = (path: string): boolean => !isHidden(path);
  const entries = { files: listed.files.filter(shown), folders: listed.folders.filter(shown) };
  const source = sourceOf(files, entries, decoder);
  for (const format of options.format ? [options.format] : orders[options.task ?? 'any']) {
    const reading = await openers[format](source, options.classes);
    if (!reading) continue;
    if (options.task !== 'segment' || format === 'masks') return splitsOf(files, format, reading, options);
    if (!hasObjectMasks(reading)) continue;
    const drawn = drawnMasks(source, reading);
    return splitsOf(drawn.files, format, drawn.reading, options);
  }
  throw new DataError(
    `data "${files.name}": found no ${options.format ?? options.task ?? ''} annotations among ${entries.files.length} files; ` +
      'expected a COCO JSON (for segmentation one with outlines), Annotations/*.xml (Pascal VOC), labels/*.txt (YOLO), or masks/*.png with images of the same names.',
    { path: files.name, files: entries.files.length },
  );
}

async function cocoFiles(source: Source): Promise<CocoFile[]> {
  const found: CocoFile[] = [];
  for (const path of source.entries.files.filter((file) => /\.json$/i.test(file))) {
    const text = await source.text(path);
    if (!text.includes('"annotations"')) continue;
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new DataError(`data "${source.files.name}/${path}": not JSON (${reason}).`, { path }, { cause });
    }
    if (isCoco(json)) found.push({ path, json });
  }
  return found;
}

async function yoloNames(source: Source): Promise<readonly string[]> {
  for (const path of source.entries.files.filter((file) => /\.ya?ml$/i.test(baseName(file)))) {
    const names = yamlNames(await source.text(path), `${source.files.name}/${path}`);
    if (names) return names;
  }
  const names = await listedNames(source);
  if (names) return names;
  throw new DataError(
    `data "${source.files.name}": YOLO labels need the names of their classes; put a classes.txt (one a line) or a data.yaml with names beside them.`,
    { path: source.files.name },
  );
}

function splitsOf(
  files: DataFiles,
  format: AnnotationFormat,
  { classes, categoryIds, coding, samples, findings, ignored }: Reading,
  options: OpenAnnotatedOptions,
): AnnotatedSplits {
  const { train = [], val, test } = samples;
  const { name } = files;
  if (train.length === 0 && !(options.mayLackTraining && (val ?? test)))
    throw new DataError(
      `data "${name}" (${format}): found no picture to train on; ` +
        (findings[0] ? `${findings[0].where}: ${findings[0].detail}.` : 'no annotation names one.'),
      { path: name, format, findings: findings.length },
    );
  const ids = categoryIds ? { categoryIds } : {};
  const dataset = (part: string, list: readonly Sample<Annotation>[]): AnnotatedDataset => ({
    name: `${name} (${part})`,
    files,
    samples: list,
    classes,
    ...ids,
    coding,
  });
  const rest = { name, format, classes, ...ids, findings, ignored, test: test && dataset('test', test) };
  if (val) return { ...rest, train: dataset('train', train), val: dataset('val', val), valSource: 'val' };
  if (test && options.holdOut === undefined)
    return { ...rest, train: dataset('train', train), val: dataset('test', test), valSource: 'test' };
  const alike = train.map(({ path }) => ({ path, target: 0 }));
  const held = new Set(
    holdOut(alike, options.holdOut ?? 0.1, options.seed ?? 0).held.map(({ path }) => path),
  );
  const kept = train.filter(({ path }) => !held.has(path));
  if (held.size === 0) return { ...rest, train: dataset('train', train), val: undefined, valSource: 'none' };
  const apart = train.filter(({ path }) => held.has(path));
  return { ...rest, train: dataset('train', kept), val: dataset('val', apart), valSource: 'held out' };
}
