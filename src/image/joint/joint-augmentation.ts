import type { Random } from '../../tensor/random.ts';
import type { Colour } from '../affine.ts';
import { type ColorJitter, jitterColor, scaledJitter } from '../color-jitter.ts';
import { between } from '../random-crop.ts';
import { type IouCrop, randomIouCrop } from './iou-crop.ts';
import { flipSample, type JointSample, windowSample } from './joint-sample.ts';
import { type Mosaic, mosaic } from './mosaic.ts';
import { fitSample, type JointTarget, scaleAndCrop } from './place.ts';

/** Onto a larger canvas: with a chance, sides by a factor drawn from a range, the picture anywhere on it. */
export interface Expand {
  readonly chance: number;
  readonly factor: readonly [least: number, most: number];
}

/** What is done to a picture and its objects to learn detection, in this order. */
export interface DetectAugmentation {
  readonly color: ColorJitter | null;
  /** With a chance, four pictures in one instead of expanding, cropping and scaling one. */
  readonly mosaic: Mosaic | null;
  readonly expand: Expand | null;
  readonly crop: IouCrop | null;
  /** Large-scale jitter: size against the one that just fits, aspect kept; then a random part, or filled up. */
  readonly scale: readonly [least: number, most: number] | null;
  /** Chance of a horizontal flip. */
  readonly flip: number;
  /** Whether aspect is kept, filled up on the right and below. */
  readonly keepAspect: boolean;
  /** Share of a box that scaling or a mosaic must leave for its object to count. */
  readonly leastVisible: number;
}

/** The same for segmentation. */
export interface SegmentAugmentation {
  readonly color: ColorJitter | null;
  /** Size against the one that just covers the net's input, aspect kept. */
  readonly scale: readonly [least: number, most: number];
  readonly flip: number;
}

/**
 * A sample as detection is learned from: the target's size, decided by `random` alone.
 * @param others three for a mosaic, else none
 */
export function augmentForDetection(
  sample: JointSample,
  augmentation: DetectAugmentation,
  target: JointTarget,
  random: Random,
  others: readonly JointSample[] = [],
): JointSample {
  const { color, expand, crop, scale, flip, keepAspect, leastVisible } = augmentation;
  const coloured = (one: JointSample): JointSample =>
    color ? { ...one, image: jitterColor(one.image, color, random) } : one;
  let result = coloured(sample);
  const [second, third, fourth] = others;
  if (augmentation.mosaic && second && third && fourth) {
    const four = [result, coloured(second), coloured(third), coloured(fourth)] as const;
    result = mosaic(four, augmentation.mosaic.scale, target, leastVisible, random);
    return random.uniform() < flip ? flipSample(result) : result;
  }
  if (expand) result = expandRandomly(result, expand, target.fill, random);
  if (crop) result = randomIouCrop(result, crop, random);
  if (random.uniform() < flip) result = flipSample(result);
  return scale
    ? scaleAndCrop(result, scale, 'fit', target, random, leastVisible)
    : fitSample(result, target, keepAspect);
}

/** The same with less effect: 0 keeps crops and flips only. A mosaic's chance is the loader's to change. */
export function weakened<A extends DetectAugmentation | SegmentAugmentation>(
  augmentation: A,
  strength: number,
): A {
  const { color, scale } = augmentation;
  const towards1 = (factor: number): number => 1 + (factor - 1) * strength;
  const weaker = {
    color: color && scaledJitter(color, strength),
    scale: scale && ([towards1(scale[0]), towards1(scale[1])] as const),
  };
  if (!('expand' in augmentation) || augmentation.expand === null) return { ...augmentation, ...weaker };
  const expand = { ...augmentation.expand, chance: augmentation.expand.chance * strength };
  return { ...augmentation, ...weaker, expand };
}

/** A sample as segmentation is learned from: scaled, cropped or filled up with IGNORE, flipped. */
export function augmentForSegmentation(
  sample: JointSample,
  { color, scale, flip }: SegmentAugmentation,
  target: JointTarget,
  random: Random,
): JointSample {
  const coloured = color ? { ...sample, image: jitterColor(sample.image, color, random) } : sample;
  const placed = scaleAndCrop(coloured, scale, 'cover', target, random);
  return random.uniform() < flip ? flipSample(placed) : placed;
}

/** SSD's zoom out. @see torchvision RandomZoomOut (chance 0.5, factor 1–4) */
export function expandRandomly(
  sample: JointSample,
  { chance, factor }: Expand,
  fill: Colour,
  random: Random,
): JointSample {
  if (random.uniform() >= chance) return sample;
  const by = between(random, factor);
  const [width, height] = [Math.trunc(sample.image.width * by), Math.trunc(sample.image.height * by)];
  const x = Math.trunc((width - sample.image.width) * random.uniform());
  const y = Math.trunc((height - sample.image.height) * random.uniform());
  return windowSample(sample, { x: 0 - x, y: 0 - y, width, height }, fill);
}
