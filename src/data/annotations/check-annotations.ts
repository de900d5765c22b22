import { DataError } from '../../errors.ts';
import type { ImageDecoder } from '../../image/codec.ts';
import { type PictureSize, readPictureSize } from '../../image/picture-size.ts';
import { decodePngIndices } from '../../image/png-indices.ts';
import type { Box } from '../../metrics/detection/box.ts';
import type { Sample } from '../dataset.ts';
import type {
  AnnotatedDataset,
  AnnotatedObject,
  AnnotatedSplits,
  Annotation,
  ObjectMask,
} from './annotated.ts';
import { UNKNOWN } from './class-list.ts';
import { countFindings, type Finding, type FindingKind, findingKinds } from './findings.ts';
import { fitsPicture } from './fits-picture.ts';
import { eachInOrder } from './reading.ts';

export interface CheckAnnotationsOptions {
  /** At a fault: throw with the first of them, or repair what can be and leave out the rest. Default `skip`. */
  readonly onFault?: 'stop' | 'skip';
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

export interface AnnotationReport {
  readonly name: string;
  readonly format: AnnotatedSplits['format'];
  readonly classes: readonly string[];
  readonly parts: readonly {
    readonly split: 'train' | 'val' | 'test';
    readonly pictures: number;
    /** For each class: its objects, or the pictures whose mask has it. */
    readonly perClass: readonly number[];
  }[];
  readonly counts: Partial<Record<FindingKind, number>>;
  readonly findings: readonly Finding[];
}

/**
 * Reads every picture's size and every mask, and holds the annotations against them. Boxes are cut to their picture;
 * what cannot be used is left out. Each such thing is in the report with file and line or id.
 * @returns the data as it can be trained on, and the report
 * @throws DataError at faults with `stop`, or when no training picture is left; whatever the signal was aborted with
 */
export async function checkAnnotations(
  data: AnnotatedSplits,
  decoder: ImageDecoder,
  options: CheckAnnotationsOptions = {},
): Promise<{ readonly data: AnnotatedSplits; readonly report: AnnotationReport }> {
  const findings = [...data.findings];
  const parts: AnnotationReport['parts'][number][] = [];
  const { train, val, test, valSource } = data;
  const total = [train, val, test].reduce((sum, part) => sum + (part?.samples.length ?? 0), 0);
  let done = 0;
  const check = async (
    part: AnnotatedDataset,
    split: 'train' | 'val' | 'test',
  ): Promise<AnnotatedDataset> => {
    const checked = await eachInOrder(part.samples, async (sample) => {
      options.signal?.throwIfAborted();
      const result = await checkSample(sample, part, decoder);
      options.onProgress?.(++done, total);
      return result;
    });
    const perClass = part.classes.map(() => 0);
    for (const { found, present } of checked) {
      for (const finding of found) findings.push(finding);
      for (const index of present) perClass[index] = (perClass[index] ?? 0) + 1;
    }
    const samples = checked.flatMap(({ sample }) => sample ?? []);
    parts.push({ split, pictures: samples.length, perClass });
    const masked = checked.flatMap(({ pixels }) => (pixels ? [pixels] : []));
    const summed = (_: unknown, index: number): number =>
      masked.reduce((sum, pixels) => sum + (pixels[index] ?? 0), 0);
    return { ...part, samples, ...(masked.length > 0 ? { pixels: part.classes.map(summed) } : {}) };
  };
  const checkedTrain = await check(train, 'train');
  const checkedTest = test && (await check(test, 'test'));
  const checkedVal = valSource === 'test' ? checkedTest : val && (await check(val, 'val'));
  const report = {
    name: data.name,
    format: data.format,
    classes: data.classes,
    parts,
    counts: countFindings(findings),
    findings,
  };
  const faults = findings.filter(({ kind }) => findingKinds[kind].fault);
  if (faults.length > 0 && (options.onFault === 'stop' || checkedTrain.samples.length === 0))
    throw faultError(data.name, faults);
  return { data: { ...data, train: checkedTrain, val: checkedVal, test: checkedTest, findings }, report };
}

function faultError(name: string, faults: readonly Finding[]): DataError {
  const shown = faults.slice(0, 5).map(({ kind, where, detail }) => `${where}: ${kind}, ${detail}`);
  return new DataError(
    `data "${name}": ${faults.length} faults in its annotations; the first: ${shown.join('; ')}. ` +
      'Correct them, or have them skipped.',
    { faults: faults.length, counts: countFindings(faults) },
  );
}

interface Checked {
  readonly sample?: Sample<Annotation>;
  readonly found: readonly Finding[];
  /** Classes that occur, once an object, or once a mask. */
  readonly present: readonly number[];
  /** Of each class, where there is a mask. */
  readonly pixels?: readonly number[];
}

async function checkSample(
  sample: Sample<Annotation>,
  { files, coding }: AnnotatedDataset,
  decoder: ImageDecoder,
): Promise<Checked> {
  const found: Finding[] = [];
  const { path, target } = sample;
  const note = (kind: FindingKind, where: string, detail: string): void =>
    void found.push({ kind, where, detail });
  try {
    const size = await readPictureSize(await files.read(path), path, decoder);
    const said = target.size;
    if (said && (said.width !== size.width || said.height !== size.height))
      note('picture-size', target.where, `annotated ${sizeText(said)}, "${path}" is ${sizeText(size)}`);
    if (target.classMask !== undefined) {
      for (const object of target.objects) checkDrawn(object, size, note);
      const pixels = await checkMask(target.classMask, size, coding, files, note);
      if (!pixels) return { found, present: [] };
      const present = [...pixels.keys()].filter((index) => (pixels[index] ?? 0) > 0);
      // Pictures may be shrunk as they are read; masks are held against this size.
      return { sample: { path, target: { ...target, objects: [], size } }, found, present, pixels };
    }
    const objects = target.objects.flatMap((object) => checkObject(object, size, note));
    if (objects.length === 0) note('empty', target.where, path);
    const present = objects.map(({ category }) => category);
    return { sample: { path, target: { ...target, objects, size } }, found, present };
  } catch (cause) {
    note('unreadable', path, cause instanceof Error ? cause.message : String(cause));
    return { found, present: [] };
  }
}

type Note = (kind: FindingKind, where: string, detail: string) => void;

const sizeText = ({ width, height }: PictureSize): string => `${width}×${height}`;

/** @returns pixels of each class, undefined when the mask cannot be used */
async function checkMask(
  path: string,
  size: PictureSize,
  coding: Uint8Array | undefined,
  files: AnnotatedDataset['files'],
  note: Note,
): Promise<number[] | undefined> {
  const mask = await decodePngIndices(await files.read(path)).catch((cause: unknown) => {
    note('unreadable', path, cause instanceof Error ? cause.message : String(cause));
  });
  if (!mask) return undefined;
  if (mask.width !== size.width || mask.height !== size.height) {
    note('mask-size', path, `mask is ${sizeText(mask)}, picture ${sizeText(size)}`);
    return undefined;
  }
  const seen = new Uint32Array(256);
  for (const value of mask.data) seen[value] = (seen[value] ?? 0) + 1;
  const values = [...seen.keys()].filter((value) => (seen[value] ?? 0) > 0);
  const strange = values.filter((value) => coding?.[value] === UNKNOWN);
  if (strange.length > 0) {
    const pixels = strange.reduce((sum, value) => sum + (seen[value] ?? 0), 0);
    note('unknown-values', path, `${strange.slice(0, 8).join(', ')} on ${pixels} pixels`);
  }
  const pixels: number[] = new Array(UNKNOWN).fill(0);
  for (const value of values) {
    const index = coding?.[value] ?? UNKNOWN;
    if (index < UNKNOWN) pixels[index] = (pixels[index] ?? 0) + (seen[value] ?? 0);
  }
  if (pixels.every((count) => count === 0)) note('empty', path, 'no pixel is of a class');
  return pixels;
}

/** What a mask that is drawn of objects cannot show. */
function checkDrawn({ box, mask, where, crowd }: AnnotatedObject, size: PictureSize, note: Note): void {
  if (crowd) note('crowd', where, `${box[2]}×${box[3]} pixels`);
  if (!mask) note('no-mask', where, `box ${box.join(', ')}`);
  else noteMisfit(mask, where, size, note);
}

/** @returns whether the mask is one of the picture's size */
function noteMisfit(mask: ObjectMask, where: string, size: PictureSize, note: Note): boolean {
  if (fitsPicture(mask, size)) return true;
  const found = mask.kind === 'rle' ? `is ${sizeText(mask.rle)}` : 'has corners far outside';
  note('mask-size', where, `mask ${found}, picture ${sizeText(size)}`);
  return false;
}

/** A box may pass its picture's edge by rounding of shares. */
const slack = 0.01;

function checkObject(object: AnnotatedObject, size: PictureSize, note: Note): AnnotatedObject[] {
  const { box, mask, where, crowd } = object;
  const [x, y, width, height] = box;
  if (crowd) note('crowd', where, `${width}×${height} pixels`);
  if (!(width > 0 && height > 0)) {
    note('zero-area', where, `box ${box.join(', ')}`);
    return [];
  }
  const clipped = clipBox(box, size);
  if (!(clipped[2] > 0 && clipped[3] > 0)) {
    note('box-outside', where, `box ${box.join(', ')} of a picture of ${sizeText(size)}`);
    return [];
  }
  const beyond = Math.max(-x, -y, x + width - size.width, y + height - size.height);
  if (beyond > slack) note('box-clipped', where, `box ${box.join(', ')} of a picture of ${sizeText(size)}`);
  const kept = { ...object, box: beyond > 0 ? clipped : box };
  if (!mask || noteMisfit(mask, where, size, note)) return [kept];
  const { mask: _, ...rest } = kept;
  return [rest];
}

/** The part of a box inside its picture; sides may come out 0 or less. */
function clipBox([x, y, width, height]: Box, size: PictureSize): Box {
  const [left, top] = [Math.max(0, x), Math.max(0, y)];
  return [left, top, Math.min(size.width, x + width) - left, Math.min(size.height, y + height) - top];
}

/** The report in words, a line each: parts, classes, and of every kind of finding the first few. */
export function describeAnnotationReport(report: AnnotationReport): string[] {
  const parts = report.parts.map(({ split, pictures }) => `${pictures} ${split}`).join(', ');
  const lines = [`${report.name}: ${report.format}, ${report.classes.length} classes, pictures: ${parts}`];
  report.classes.forEach((name, index) => {
    const counts = report.parts.map(({ split, perClass }) => `${perClass[index] ?? 0} ${split}`);
    if (report.classes.length <= 100) lines.push(`  ${name}: ${counts.join(', ')}`);
  });
  for (const kind of kindsIn(report)) {
    const { fault, text } = findingKinds[kind];
    const found = report.findings.filter((finding) => finding.kind === kind);
    lines.push(`${fault ? 'warning' : 'note'}: ${found.length} ${text}:`);
    for (const { where, detail } of found.slice(0, 5)) lines.push(`  ${where}: ${detail}`);
    if (found.length > 5) lines.push(`  and ${found.length - 5} more`);
  }
  return lines;
}

const kindsIn = ({ findings }: AnnotationReport): Set<FindingKind> =>
  new Set(findings.map(({ kind }) => kind));
