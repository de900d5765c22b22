import { mkdir } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { UsageError } from '../errors.ts';
import type { DecodeOptions } from '../image/codec.ts';
import { drawBoxes } from '../image/draw/draw-boxes.ts';
import { drawClasses } from '../image/draw/draw-classes.ts';
import { encodePng } from '../image/encode-png.ts';
import type { Image } from '../image/image.ts';
import { encodeMask, formatRle } from '../metrics/detection/mask-rle.ts';
import { loadDetector, loadSegmenter } from '../node.ts';
import { writeFileWhole } from '../platform/node/write-file.ts';
import { chosenClasses, type DetectedObject } from '../task/detect.ts';
import type { LoadedDetector, LoadedSegmenter, LoadHeadOptions } from '../task/load-head.ts';
import type { Segmentation } from '../task/segment.ts';
import { type TaskHead, taskTitles } from '../task/task-head.ts';
import type { Terminal } from './terminal.ts';
import { printable, table } from './text/layout.ts';
import { grouped, percent } from './text/numbers.ts';

/** What can be asked of detection and segmentation. */
export interface HeadFlags {
  /** A PNG file for a single picture, else a folder. */
  readonly out?: string;
  readonly score?: number;
  readonly classes?: readonly string[];
  readonly most?: number;
}

/** What a net says about one picture. */
interface Prediction {
  /** Lines for people. */
  readonly text: (terminal: Terminal) => readonly string[];
  readonly json: object;
  readonly draw: () => Image;
}

export interface HeadPredictor {
  readonly title: string;
  predict(file: string): Promise<Prediction>;
  dispose(): void;
}

/** @throws HubError, FormatError, WeightsError; UsageError for a class that the net does not know */
export async function headPredictor(
  head: TaskHead,
  location: string,
  flags: HeadFlags,
  options: LoadHeadOptions,
  decode: DecodeOptions,
): Promise<HeadPredictor> {
  if (head.task === 'detect') return detection(await loadDetector(location, options), flags, decode);
  for (const name of ['score', 'most'] as const)
    if (flags[name] !== undefined)
      throw new UsageError(`--${name}: is for detection; "${location}" names every pixel.`);
  return segmentation(await loadSegmenter(location, options), flags, decode);
}

const titleOf = (net: LoadedDetector | LoadedSegmenter): string =>
  `${printable(`${net.name} from ${net.location}`)}, ${taskTitles[net.head.task]}, ${net.form} form, ${net.engine} engine`;

function detection(detector: LoadedDetector, flags: HeadFlags, decode: DecodeOptions): HeadPredictor {
  const { score, classes, most } = flags;
  chosenClasses(classes, detector.labels);
  const wanted = {
    ...(score === undefined ? {} : { leastScore: score }),
    ...(classes === undefined ? {} : { classes }),
    ...(most === undefined ? {} : { most }),
  };
  return {
    title: titleOf(detector),
    predict: async (file) => {
      const image = await detector.open(file, decode);
      const objects = await detector.detect(image, wanted);
      return {
        text: ({ width }) => objectTable(objects, width - 2),
        json: {
          ...sizeOf(file, image),
          results: objects.map((one) => cocoResult(file, one, detector.categoryIds)),
        },
        draw: () => drawBoxes(image, objects),
      };
    },
    dispose: () => detector.dispose(),
  };
}

function segmentation(segmenter: LoadedSegmenter, flags: HeadFlags, decode: DecodeOptions): HeadPredictor {
  const chosen = chosenClasses(flags.classes, segmenter.labels);
  const { background } = segmenter.head;
  return {
    title: titleOf(segmenter),
    predict: async (file) => {
      const image = await segmenter.open(file, decode);
      const all = await segmenter.segment(image);
      const classes = all.classes.filter(({ label, pixels }) => chosen.has(label) && pixels > 0);
      const found = { ...all, classes: classes.toSorted((a, b) => b.pixels - a.pixels || a.label - b.label) };
      return {
        text: ({ width }) => classTable(found, width - 2),
        json: {
          ...sizeOf(file, image),
          results: found.classes.map((one) => cocoRegion(file, found, one.label)),
        },
        draw: () => drawClasses(image, found, { background }),
      };
    },
    dispose: () => segmenter.dispose(),
  };
}

const sizeOf = (file: string, { width, height }: Image) => ({ file, width, height });

/** COCO's pictures are called by their numbers. */
function imageId(file: string): number | string {
  const stem = basename(file, extname(file));
  return /^\d{1,15}$/.test(stem) ? Number(stem) : stem;
}

const hundredths = (value: number): number => Math.round(100 * value) / 100;

/** One of COCO's results, categories being those of the data learned from, else our labels; with the name besides. */
function cocoResult(
  file: string,
  { label, className, score, box }: DetectedObject,
  ids: LoadedDetector['categoryIds'],
): object {
  return {
    image_id: imageId(file),
    category_id: ids?.[label] ?? label,
    bbox: [box.x, box.y, box.width, box.height].map(hundredths),
    score,
    category_name: className,
  };
}

function cocoRegion(file: string, { width, height, classMap, classes }: Segmentation, label: number): object {
  const found = classes.find((one) => one.label === label);
  const mask = encodeMask(
    classMap.map((one) => (one === label ? 1 : 0)),
    height,
    width,
  );
  return {
    image_id: imageId(file),
    category_id: label,
    segmentation: { size: [height, width], counts: formatRle(mask) },
    area: found?.pixels ?? 0,
    category_name: found?.className ?? '',
  };
}

function objectTable(objects: readonly DetectedObject[], width: number): readonly string[] {
  if (objects.length === 0) return ['nothing found'];
  const columns = [
    { heading: 'score', align: 'right' },
    { heading: 'class', least: 12 },
    ...['x', 'y', 'width', 'height'].map((heading) => ({ heading, align: 'right' }) as const),
  ] as const;
  const rows = objects.map(({ score, className, box }) => [
    percent(score),
    printable(className),
    ...[box.x, box.y, box.width, box.height].map((value) => String(Math.round(value))),
  ]);
  return table(columns, rows, width);
}

function classTable({ classes }: Segmentation, width: number): readonly string[] {
  if (classes.length === 0) return ['nothing found'];
  const columns = [
    { heading: 'share', align: 'right' },
    { heading: 'class', least: 12 },
    { heading: 'pixels', align: 'right' },
  ] as const;
  const rows = classes.map(({ share, className, pixels }) => [
    percent(share),
    printable(className),
    grouped(pixels),
  ]);
  return table(columns, rows, width);
}

/**
 * Where drawings go: the file itself for a single picture and a name that ends in .png, else files in a folder, named
 * as their pictures, numbered where two are called the same.
 */
export function drawingPlaces(files: readonly string[], out: string): ReadonlyMap<string, string> {
  const [only] = files;
  if (only !== undefined && files.length === 1 && /\.png$/i.test(out)) return new Map([[only, out]]);
  const taken = new Set<string>();
  const places = new Map<string, string>();
  for (const file of files) {
    const stem = basename(file, extname(file));
    let name = `${stem}.png`;
    for (let n = 2; taken.has(name.toLowerCase()); n++) name = `${stem}-${n}.png`;
    taken.add(name.toLowerCase());
    places.set(file, join(out, name));
  }
  return places;
}

export async function writeDrawing(path: string, image: Image): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFileWhole(path, await encodePng(image), async () => undefined);
}
