import type { ImageDecoder } from '../../image/codec.ts';
import type { Image } from '../../image/image.ts';
import { type IndexMap, resizeIndices } from '../../image/index-map.ts';
import { readClassMask } from '../annotations/read-joint.ts';
import {
  type BatchResult,
  type BatchTask,
  type JointTarget,
  pictureSize,
  type SampleContents,
  type Slot,
} from './batch.ts';
import { batchBuffers, mixRows, rowWriter } from './batch-rows.ts';

export interface BatchTools {
  readonly decoder: ImageDecoder;
  /** Reads a file of a `location`. */
  readonly read: (location: string, path: string) => Promise<Uint8Array>;
}

/** Pictures decoded at a time: the decoder has threads of its own, and large photos take memory. */
const decodesAhead = 3;

type Read = { readonly contents: SampleContents } | { readonly fault: string };

/** Makes one batch. What comes out depends on the task alone, not on who makes it or when. */
export async function makeBatch(task: BatchTask, tools: BatchTools): Promise<BatchResult> {
  const start = performance.now();
  const buffers = batchBuffers(task);
  const write = rowWriter(task, buffers);
  const sizes = new Int32Array(2 * task.rows.length);
  const broken: BatchResult['broken'][number][] = [];
  const decoded: BatchResult['decoded'][number][] = [];
  const reads = readAhead(task, tools);
  for (const [at, row] of task.rows.entries()) {
    const samples: (readonly [Slot, SampleContents])[] = [];
    for (const slot of row ?? []) {
      const read = await reads();
      if ('fault' in read) {
        broken.push({ index: slot.index, path: slot.path, reason: read.fault });
        continue;
      }
      const { contents } = read;
      if (slot.keep && !slot.contents) decoded.push({ index: slot.index, contents: shareable(contents) });
      samples.push([slot, contents]);
    }
    const [first, ...others] = samples;
    if (!first || broken.length > 0) continue;
    sizes.set([first[1].image.width, first[1].image.height], 2 * at);
    write(at, first, others);
  }
  if (broken.length === 0) mixRows(task, buffers, pictureSize(task.pictures).width);
  return { ...buffers, sizes, broken, decoded, ms: performance.now() - start };
}

/** Gives the contents of all slots one after the other, a few of them read ahead. */
function readAhead(task: BatchTask, tools: BatchTools): () => Promise<Read> {
  const slots = task.rows.flatMap((row) => row ?? []);
  const reads: Promise<Read>[] = [];
  let next = 0;
  return () => {
    for (; next < slots.length && reads.length < decodesAhead; next++) {
      const slot = slots[next];
      if (slot) reads.push(readSlot(slot, task, tools));
    }
    return reads.shift() ?? Promise.reject(new RangeError('there is no further slot'));
  };
}

async function readSlot(slot: Slot, task: BatchTask, tools: BatchTools): Promise<Read> {
  if (slot.contents) return { contents: slot.contents };
  const { location = '', shrink } = task;
  try {
    const bytes = slot.bytes ?? (await tools.read(location, slot.path));
    const shortSide = shrink === undefined ? {} : { shortSide: shrink };
    const image = await tools.decoder.decode(bytes, { name: slot.path, ...shortSide });
    const mask = typeof slot.target === 'number' ? undefined : slot.target.classMask;
    if (mask === undefined || task.pictures.kind !== 'segment') return { contents: { image } };
    const stored = slot.maskBytes ?? (await tools.read(location, mask));
    const classMask = await readMask(stored, slot.target, task, image, mask);
    return { contents: { image, classMask } };
  } catch (cause) {
    return { fault: cause instanceof Error ? cause.message : String(cause) };
  }
}

/** A shrunk picture's mask follows it. */
async function readMask(
  bytes: Uint8Array,
  target: number | JointTarget,
  { shrink, coding }: BatchTask,
  image: Image,
  path: string,
): Promise<IndexMap> {
  const annotated = typeof target === 'number' ? undefined : target.size;
  const size = shrink === undefined ? image : (annotated ?? image);
  return resizeIndices(await readClassMask(bytes, coding, size, path), image.width, image.height);
}

/** A copy that threads can share, where the platform has shared memory. */
function shareable({ image, classMask }: SampleContents): SampleContents {
  const copy = { image: { ...image, data: shared(image.data) } };
  return classMask ? { ...copy, classMask: { ...classMask, data: shared(classMask.data) } } : copy;
}

function shared(data: Image['data']): Uint8Array {
  const memory = typeof SharedArrayBuffer === 'undefined' ? undefined : new SharedArrayBuffer(data.length);
  const copy = memory ? new Uint8Array(memory) : new Uint8Array(data.length);
  copy.set(data);
  return copy;
}
