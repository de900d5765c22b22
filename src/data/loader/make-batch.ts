import type { Colour } from '../../image/affine.ts';
import { fitImage, normalizationTables, normalizeInto } from '../../image/apply-transform.ts';
import { augment } from '../../image/augmentation.ts';
import type { ImageDecoder } from '../../image/codec.ts';
import type { Image } from '../../image/image.ts';
import { createRandom, deriveSeed } from '../../tensor/random.ts';
import {
  type BatchBuffers,
  type BatchResult,
  type BatchTask,
  normalizationOf,
  pictureSize,
  type Slot,
} from './batch.ts';
import { mixBatch } from './mix.ts';
import { mixStream, sampleStream } from './streams.ts';

export interface BatchTools {
  readonly decoder: ImageDecoder;
  /** Reads a file of a `location`. */
  readonly read: (location: string, path: string) => Promise<Uint8Array>;
}

/** Pictures decoded at a time: the decoder has threads of its own, and large photos take memory. */
const decodesAhead = 3;

type Read = { readonly picture: Image } | { readonly fault: string };

/** Makes one batch. What comes out depends on the task alone, not on who makes it or when. */
export async function makeBatch(task: BatchTask, tools: BatchTools): Promise<BatchResult> {
  const start = performance.now();
  const { slots } = task;
  const buffers = batchBuffers(task);
  const place = rowWriter(task, buffers);
  const broken: BatchResult['broken'][number][] = [];
  const decoded: BatchResult['decoded'][number][] = [];
  const reads: Promise<Read | undefined>[] = [];
  for (let row = 0; row < slots.length; row++) {
    while (reads.length < Math.min(slots.length, row + decodesAhead)) {
      reads.push(readSlot(slots[reads.length], task, tools));
    }
    const slot = slots[row];
    const read = await reads[row];
    if (!slot || !read) continue;
    if ('fault' in read) broken.push({ index: slot.index, path: slot.path, reason: read.fault });
    else {
      if (slot.keep && !slot.picture) decoded.push({ index: slot.index, picture: shareable(read.picture) });
      if (broken.length === 0) place(row, slot, read.picture);
    }
  }
  if (broken.length === 0) mixRows(task, buffers);
  return { ...buffers, broken, decoded, ms: performance.now() - start };
}

/** Arrays of the right size, those of the task where they fit, with targets set to zero. */
function batchBuffers({ buffers, slots, classes, pictures }: BatchTask): BatchBuffers {
  const { width, height } = pictureSize(pictures);
  const length = slots.length * height * width * 3;
  const images = buffers?.images.length === length ? buffers.images : new Float32Array(length);
  const rows = slots.length * classes;
  const targets = buffers?.targets.length === rows ? buffers.targets.fill(0) : new Float32Array(rows);
  for (let row = 0; row < slots.length; row++) {
    if (!slots[row]) images.fill(0, row * height * width * 3, (row + 1) * height * width * 3);
  }
  return { images, targets };
}

async function readSlot(
  slot: Slot | undefined,
  task: BatchTask,
  tools: BatchTools,
): Promise<Read | undefined> {
  if (!slot) return undefined;
  if (slot.picture) return { picture: slot.picture };
  try {
    const bytes = slot.bytes ?? (await tools.read(task.location ?? '', slot.path));
    const shortSide = task.shrink === undefined ? {} : { shortSide: task.shrink };
    return { picture: await tools.decoder.decode(bytes, { name: slot.path, ...shortSide }) };
  } catch (cause) {
    return { fault: cause instanceof Error ? cause.message : String(cause) };
  }
}

/** A copy that threads can share, where the platform has shared memory. */
function shareable({ width, height, data }: Image): Image {
  const shared = typeof SharedArrayBuffer === 'undefined' ? undefined : new SharedArrayBuffer(data.length);
  const copy = shared ? new Uint8Array(shared) : new Uint8Array(data.length);
  copy.set(data);
  return { width, height, data: copy };
}

function rowWriter(
  task: BatchTask,
  { images, targets }: BatchBuffers,
): (row: number, slot: Slot, picture: Image) => void {
  const { pictures, classes, seed, epoch } = task;
  const { width, height } = pictureSize(pictures);
  const tables = normalizationTables(normalizationOf(pictures));
  const prepare = picturePreparer(task);
  return (row, slot, picture) => {
    const random = createRandom(deriveSeed(seed, sampleStream, epoch, slot.index));
    const prepared = prepare(picture, random);
    if (prepared.width !== width || prepared.height !== height) {
      throw new RangeError(
        `a picture of ${prepared.width}×${prepared.height} came out, not ${width}×${height}`,
      );
    }
    normalizeInto(prepared, tables, images, row * height * width * 3);
    targets[row * classes + slot.target] = 1;
  };
}

function picturePreparer({
  pictures,
}: BatchTask): (picture: Image, random: ReturnType<typeof createRandom>) => Image {
  if (pictures.kind === 'eval') return (picture) => fitImage(picture, pictures.transform);
  const { augmentation, size, strength, interpolation, normalization } = pictures;
  const level = (channel: 0 | 1 | 2): number =>
    Math.round((normalization.mean[channel] * 255) / normalization.scale);
  const fill: Colour = [level(0), level(1), level(2)];
  return (picture, random) => augment(picture, augmentation, { size, strength, interpolation, fill }, random);
}

function mixRows({ pictures, slots, seed, epoch, step }: BatchTask, { images, targets }: BatchBuffers): void {
  if (pictures.kind !== 'train' || slots.includes(undefined)) return;
  const { mixup, cutmix, strength, size } = pictures;
  const random = createRandom(deriveSeed(seed, mixStream, epoch, step));
  const batch = { images, targets, count: slots.length, height: size, width: size };
  mixBatch(batch, mixup * strength, cutmix * strength, random);
}
