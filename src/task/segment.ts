import { UsageError } from '../errors.ts';
import { applyTransform } from '../image/apply-transform.ts';
import { classColours, type Rgb } from '../image/class-colours.ts';
import { fromPixels, type Image, type PixelSource } from '../image/image.ts';
import type { PictureSize } from '../image/picture-size.ts';
import type { Form } from '../model/block.ts';
import { deepLabStyles } from '../model/deeplabv3.ts';
import { inputName } from '../model/mobileone.ts';
import type { Tensor } from '../tensor/tensor.ts';
import {
  type ClassMapOptions,
  classesOfPixels,
  type LogitPlaces,
  mixedAt,
  mixRows,
  mixtureOf,
  placesOf,
} from './class-map.ts';
import { type HeadOptions, softmaxRows } from './detect.ts';
import { exactSize, type HeadNet, runnableNet } from './head-net.ts';
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
  const { net } = runnableNet(source, run, { whole: false });
  const session = await engine.compile(net.graph, net.weights, compile);
  const { alignCorners } = deepLabStyles[head.style];
  const via = exactSize(transform);
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
      const mapped = classMapOf(logits, image, { alignCorners, via, probabilities });
      return { ...mapped, classes: segmentedClasses(mapped.classMap, labels) };
    },
    dispose: () => session.dispose(),
  };
}

/** What a class map holds of each label. */
function segmentedClasses(classMap: Uint8Array, labels: readonly string[]): readonly SegmentedClass[] {
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

/**
 * Logits [N, h, w, classes], bilinearly at the picture's size → the largest one's index, and the softmax of all where
 * asked for. Without probabilities a large picture takes no more memory than its class map (`classesOfPixels`).
 */
export function classMapOf(
  logits: Tensor,
  picture: PictureSize,
  options: ClassMapOptions & Pick<SegmentOptions, 'probabilities'>,
): Omit<Segmentation, 'classes'> {
  const { width, height } = picture;
  const places = placesOf(logits, options.n ?? 0);
  const classMap = classesOfPixels(places, picture, options);
  if (!options.probabilities) return { width, height, classMap };
  return { width, height, classMap, probabilities: probabilitiesOf(places, picture, options) };
}

/** [height, width, classes] */
function probabilitiesOf(
  places: LogitPlaces,
  { width, height }: PictureSize,
  { alignCorners, via }: ClassMapOptions,
): Float32Array {
  const { rows, columns, classes } = places;
  const down = mixtureOf(rows, via?.height ?? rows, height, alignCorners);
  const across = mixtureOf(columns, via?.width ?? columns, width, alignCorners);
  const all = new Float32Array(width * height * classes);
  const row = new Float32Array(columns * classes);
  for (let y = 0, at = 0; y < height; y++) {
    mixRows(row, places, down, y);
    for (let x = 0; x < width; x++)
      for (let c = 0; c < classes; c++, at++) all[at] = mixedAt(row, across, x, classes, c);
  }
  softmaxRows(all, classes);
  return all;
}
