import { writeAnchorTargets } from '../../detection/anchor-targets.ts';
import { DataError } from '../../errors.ts';
import type { Colour } from '../../image/affine.ts';
import {
  fitImage,
  type Normalization,
  normalizationTables,
  normalizeInto,
} from '../../image/apply-transform.ts';
import { augment } from '../../image/augmentation.ts';
import type { Image } from '../../image/image.ts';
import {
  augmentForDetection,
  augmentForSegmentation,
  weakened,
} from '../../image/joint/joint-augmentation.ts';
import type { JointSample } from '../../image/joint/joint-sample.ts';
import { createRandom, deriveSeed, type Random } from '../../tensor/random.ts';
import { writeClassTargets } from '../annotations/class-targets.ts';
import {
  type BatchBuffers,
  type BatchPictures,
  type BatchTask,
  type DetectPictures,
  normalizationOf,
  pictureSize,
  type SampleContents,
  type SegmentPictures,
  type Slot,
} from './batch.ts';
import { mixBatch } from './mix.ts';
import { mixStream, sampleStream } from './streams.ts';

type Opened = readonly [Slot, SampleContents];

/** Puts a sample (with those it is joined with) into a row of the batch. */
export type RowWriter = (row: number, sample: Opened, others: readonly Opened[]) => void;

/** Makes the net's picture of a sample and writes what the net is to say of it. */
type SampleWriter = (row: number, sample: Opened, others: readonly Opened[], random: Random) => Image;

/** Arrays of the right size, those of the task where they fit, with targets set to zero. */
export function batchBuffers({ buffers, rows, classes, pictures }: BatchTask): BatchBuffers {
  const { width, height } = pictureSize(pictures);
  const first = rows.find((row) => row !== undefined)?.[0];
  const joint = typeof first?.target === 'object';
  const [targets, offsets] = {
    train: [classes, 0],
    eval: [joint ? 0 : classes, 0],
    segment: [height * width * classes, 0],
    detect: pictures.kind === 'detect' ? [pictures.anchors.length / 4, pictures.anchors.length] : [0, 0],
  }[pictures.kind];
  const array = (kept: Float32Array<ArrayBuffer> | undefined, each = 0): Float32Array<ArrayBuffer> =>
    kept?.length === rows.length * each ? kept : new Float32Array(rows.length * each);
  const images = array(buffers?.images, height * width * 3);
  rows.forEach((row, at) => {
    if (!row) images.fill(0, at * height * width * 3, (at + 1) * height * width * 3);
  });
  return {
    images,
    targets: array(buffers?.targets, targets).fill(0),
    offsets: array(buffers?.offsets, offsets).fill(0),
  };
}

export function rowWriter(task: BatchTask, buffers: BatchBuffers): RowWriter {
  const { pictures, seed, epoch } = task;
  const { width, height } = pictureSize(pictures);
  const tables = normalizationTables(normalizationOf(pictures));
  const write = sampleWriter(task, buffers);
  return (row, sample, others) => {
    const random = createRandom(deriveSeed(seed, sampleStream, epoch, sample[0].index));
    const prepared = write(row, sample, others, random);
    if (prepared.width !== width || prepared.height !== height) {
      throw new RangeError(
        `a picture of ${prepared.width}×${prepared.height} came out, not ${width}×${height}`,
      );
    }
    normalizeInto(prepared, tables, buffers.images, row * height * width * 3);
  };
}

function sampleWriter(task: BatchTask, buffers: BatchBuffers): SampleWriter {
  const { pictures } = task;
  if (pictures.kind === 'detect') return detectWriter(pictures, task, buffers);
  if (pictures.kind === 'segment') return segmentWriter(pictures, task, buffers);
  const prepare = classPreparer(pictures);
  return (row, [{ target }, { image }], _, random) => {
    if (typeof target === 'number') buffers.targets[row * task.classes + target] = 1;
    return prepare(image, random);
  };
}

/** Colour of what lies outside a picture: what normalization makes 0. */
function meanColour({ mean, scale }: Normalization): Colour {
  const level = (channel: 0 | 1 | 2): number => Math.round((mean[channel] * 255) / scale);
  return [level(0), level(1), level(2)];
}

function classPreparer(
  pictures: Extract<BatchPictures, { readonly kind: 'train' | 'eval' }>,
): (picture: Image, random: Random) => Image {
  if (pictures.kind === 'eval') return (picture) => fitImage(picture, pictures.transform);
  const { augmentation, size, strength, interpolation, normalization } = pictures;
  const options = { size, strength, interpolation, fill: meanColour(normalization) };
  return (picture, random) => augment(picture, augmentation, options, random);
}

/** An object smaller than this in the net's input cannot be told from noise, nor its box from none. */
const leastSide = 1;

function detectWriter(pictures: DetectPictures, { shrink }: BatchTask, buffers: BatchBuffers): SampleWriter {
  const { size, interpolation, normalization, anchors, targets: style } = pictures;
  const augmentation = weakened(pictures.augmentation, pictures.strength);
  const target = { width: size, height: size, interpolation, fill: meanColour(normalization) };
  const written = { labels: buffers.targets, offsets: buffers.offsets };
  return (row, sample, others, random) => {
    const joined = others.map((other) => jointSample(other, shrink));
    const made = augmentForDetection(jointSample(sample, shrink), augmentation, target, random, joined);
    const objects = made.objects.filter(({ box }) => Math.min(box[2], box[3]) >= leastSide);
    writeAnchorTargets(style, anchors, objects, written, row);
    return made.image;
  };
}

function segmentWriter(
  pictures: SegmentPictures,
  { classes, shrink }: BatchTask,
  { targets }: BatchBuffers,
): SampleWriter {
  const { size, augmentation, interpolation, normalization, strength, weights } = pictures;
  const target = { width: size, height: size, interpolation, fill: meanColour(normalization) };
  const weaker = weakened(augmentation, strength);
  return (row, sample, _, random) => {
    const { image, classMask } = augmentForSegmentation(jointSample(sample, shrink), weaker, target, random);
    if (!classMask) throw new DataError(`"${sample[0].path}" has no class mask to learn from.`);
    writeClassTargets(classMask, classes, targets, row, weights);
    return image;
  };
}

/** Boxes follow a picture that was shrunk when it was read. */
function jointSample([{ target }, { image, classMask }]: Opened, shrink: number | undefined): JointSample {
  const { objects, size: annotated = image } = typeof target === 'number' ? { objects: [] } : target;
  const size = shrink === undefined ? image : annotated;
  const [sx, sy] = [image.width / size.width, image.height / size.height];
  const moved = objects.map(({ box: [x, y, w, h], ...object }) => ({
    ...object,
    box: [x * sx, y * sy, w * sx, h * sy] as const,
  }));
  const scaled = sx === 1 && sy === 1 ? objects : moved;
  return classMask ? { image, objects: scaled, classMask } : { image, objects: scaled };
}

export function mixRows(
  { pictures, rows, seed, epoch, step }: BatchTask,
  { images, targets }: BatchBuffers,
  side: number,
): void {
  if (pictures.kind !== 'train' || rows.includes(undefined)) return;
  const { mixup, cutmix, strength } = pictures;
  const random = createRandom(deriveSeed(seed, mixStream, epoch, step));
  const batch = { images, targets, count: rows.length, height: side, width: side };
  mixBatch(batch, mixup * strength, cutmix * strength, random);
}
