import { UsageError } from '../errors.ts';
import { applyTransform } from '../image/apply-transform.ts';
import { classColours, type Rgb } from '../image/class-colours.ts';
import { fromPixels, type Image, type PixelSource } from '../image/image.ts';
import type { Form } from '../model/block.ts';
import { deepLabStyles } from '../model/deeplabv3.ts';
import { inputName } from '../model/mobileone.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type HeadOptions, softmaxRows } from './detect.ts';
import { type HeadNet, runnableNet } from './head-net.ts';
import type { SegmentHead } from './task-head.ts';

/** A class as it stands in a picture. */
export interface SegmentedClass {
  readonly label: number;
  readonly className: string;
  /** In legends and drawings; the same for a label in every picture. */
  readonly colour: Rgb;
  readonly pixels: number;
  /** Of all pixels, 0–1. */
  readonly share: number;
}

/** One picture's answer, at the size of the picture as given. */
export interface Segmentation {
  readonly width: number;
  readonly height: number;
  /** height·width labels, row by row. */
  readonly classMap: Uint8Array;
  /** All of the net's, by label. */
  readonly classes: readonly SegmentedClass[];
  /** [height, width, classes] softmax probabilities, where asked for. */
  readonly probabilities?: Float32Array;
}

export interface SegmentOptions {
  /** Default no: they are large. */
  readonly probabilities?: boolean;
}

export interface Segmenter extends Pick<HeadNet<SegmentHead>, 'head' | 'labels' | 'transform'> {
  /** The form that runs. */
  readonly form: Form;
  readonly engine: string;
  segment(picture: Image | PixelSource, options?: SegmentOptions): Promise<Segmentation>;
  dispose(): void;
}

/** @throws UsageError, WeightsError when net, transform and weights do not suit each other */
export async function createSegmenter(
  source: HeadNet<SegmentHead>,
  options: HeadOptions,
): Promise<Segmenter> {
  const { head, labels, transform } = source;
  if (labels.length < 1 || labels.length > 256)
    throw new UsageError(`segmentation: class maps hold 1 to 256 classes, found ${labels.length}.`);
  const { engine, run = 'deploy', ...compile } = options;
  const { net } = runnableNet(source, run);
  const session = await engine.compile(net.graph, net.weights, compile);
  const { alignCorners } = deepLabStyles[head.style];
  return {
    head,
    labels,
    transform,
    form: run,
    engine: engine.name,
    segment: async (picture, { probabilities = false } = {}) => {
      const image = fromPixels(picture);
      const { logits } = await session.run({ [inputName]: applyTransform(image, transform) });
      if (logits === undefined) throw new UsageError('segment: the net has no output "logits".');
      const mapped = classMapOf(logits, image, { alignCorners, probabilities });
      return { ...mapped, classes: segmentedClasses(mapped.classMap, labels) };
    },
    dispose: () => session.dispose(),
  };
}

/** What a class map holds of each label. */
export function segmentedClasses(classMap: Uint8Array, labels: readonly string[]): readonly SegmentedClass[] {
  const pixels = new Float64Array(256);
  for (const label of classMap) pixels[label] = (pixels[label] ?? 0) + 1;
  const colours = classColours(labels.length);
  return labels.map((className, label) => ({
    label,
    className,
    colour: colours[label] ?? [0, 0, 0],
    pixels: pixels[label] ?? 0,
    share: (pixels[label] ?? 0) / Math.max(1, classMap.length),
  }));
}

export interface ClassMapOptions {
  readonly alignCorners: boolean;
  readonly probabilities?: boolean;
  /** Which picture of the batch, default the first. */
  readonly n?: number;
}

/**
 * Logits [N, h, w, classes], bilinearly at the picture's size (as PyTorch's `interpolate`) → the largest one's index.
 * A row at a time, so that large pictures need no more memory than their class map. Between four places that agree on
 * their largest, every mixture of them has the same.
 */
export function classMapOf(
  logits: Tensor,
  { width, height }: { readonly width: number; readonly height: number },
  { alignCorners, probabilities = false, n = 0 }: ClassMapOptions,
): Omit<Segmentation, 'classes'> {
  const [, rows = 0, columns = 0, classes = 0] = logits.shape;
  const data = logits.data.subarray(n * rows * columns * classes, (n + 1) * rows * columns * classes);
  const down = samples(rows, height, alignCorners);
  const across = samples(columns, width, alignCorners);
  const classMap = new Uint8Array(width * height);
  const all = probabilities ? new Float32Array(width * height * classes) : undefined;
  const row = new Float32Array(columns * classes);
  const pixel = new Float32Array(classes);
  const largest = all ? undefined : largestOf(data, classes);
  for (let y = 0, at = 0; y < height; y++) {
    const [top = 0, bottom = 0, part = 0] = down.subarray(3 * y, 3 * y + 3);
    mixInto(row, data, top * row.length, bottom * row.length, part);
    for (let x = 0; x < width; x++, at++) {
      const west = across[3 * x] ?? 0;
      const east = across[3 * x + 1] ?? 0;
      if (largest) {
        const label = largest[top * columns + west] ?? 0;
        if (
          label === largest[top * columns + east] &&
          label === largest[bottom * columns + west] &&
          label === largest[bottom * columns + east]
        ) {
          classMap[at] = label;
          continue;
        }
      }
      const [left, right, share] = [west * classes, east * classes, across[3 * x + 2] ?? 0];
      let [best, most] = [0, Number.NEGATIVE_INFINITY];
      for (let c = 0; c < classes; c++) {
        const a = row[left + c] ?? 0;
        const value = a + share * ((row[right + c] ?? 0) - a);
        if (value > most) {
          most = value;
          best = c;
        }
        pixel[c] = value;
      }
      classMap[at] = best;
      all?.set(pixel, at * classes);
    }
  }
  if (all === undefined) return { width, height, classMap };
  softmaxRows(all, classes);
  return { width, height, classMap, probabilities: all };
}

/** Index of the largest logit of each place, the first of equal ones. */
function largestOf(data: Tensor['data'], classes: number): Uint8Array {
  const largest = new Uint8Array(data.length / classes);
  for (let place = 0, at = 0; place < largest.length; place++) {
    let best = 0;
    let most = Number.NEGATIVE_INFINITY;
    for (let c = 0; c < classes; c++, at++) {
      const value = data[at] ?? 0;
      if (value > most) [most, best] = [value, c];
    }
    largest[place] = best;
  }
  return largest;
}

/** For each position the two it lies between and how far it is from the first: three numbers. */
function samples(from: number, to: number, alignCorners: boolean): Float64Array {
  const out = new Float64Array(3 * to);
  for (let i = 0; i < to; i++) {
    const place = alignCorners
      ? (i * (from - 1)) / Math.max(1, to - 1)
      : Math.max(0, ((i + 0.5) * from) / to - 0.5);
    const low = Math.min(Math.floor(place), from - 1);
    out.set([low, Math.min(low + 1, from - 1), place - low], 3 * i);
  }
  return out;
}

function mixInto(out: Float32Array, data: Tensor['data'], first: number, second: number, part: number): void {
  for (let i = 0; i < out.length; i++) {
    const a = data[first + i] ?? 0;
    out[i] = a + part * ((data[second + i] ?? 0) - a);
  }
}
