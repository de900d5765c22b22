import type { Random } from '../../tensor/random.ts';
import type { Colour } from '../affine.ts';
import { type ColorJitter, jitterColor } from '../color-jitter.ts';
import { between } from '../random-crop.ts';
import type { Interpolation } from '../resize.ts';
import { type IouCrop, randomIouCrop } from './iou-crop.ts';
import { flipSample, type JointSample, resizeSample, windowSample } from './joint-sample.ts';

/** The net's input. */
export interface JointTarget {
  readonly width: number;
  readonly height: number;
  readonly interpolation: Interpolation;
  /** Colour of what lies outside the picture; usually the normalization's mean. */
  readonly fill: Colour;
}

/** Onto a larger canvas: with a chance, sides by a factor drawn from a range, the picture anywhere on it. */
export interface Expand {
  readonly chance: number;
  readonly factor: readonly [least: number, most: number];
}

/** What is done to a picture and its objects to learn detection, in this order. */
export interface DetectAugmentation {
  readonly color: ColorJitter | null;
  readonly expand: Expand | null;
  readonly crop: IouCrop | null;
  /** Large-scale jitter: size against the one that just fits, aspect kept; then a random part, or filled up. */
  readonly scale: readonly [least: number, most: number] | null;
  /** Chance of a horizontal flip. */
  readonly flip: number;
  /** Whether aspect is kept, filled up on the right and below. */
  readonly keepAspect: boolean;
}

/** The same for segmentation. */
export interface SegmentAugmentation {
  readonly color: ColorJitter | null;
  /** Size against the one that just covers the net's input, aspect kept. */
  readonly scale: readonly [least: number, most: number];
  readonly flip: number;
}

/** A sample as detection is learned from: the target's size, decided by `random` alone. */
export function augmentForDetection(
  sample: JointSample,
  augmentation: DetectAugmentation,
  target: JointTarget,
  random: Random,
): JointSample {
  const { color, expand, crop, scale, flip, keepAspect } = augmentation;
  let result = color ? { ...sample, image: jitterColor(sample.image, color, random) } : sample;
  if (expand) result = expandRandomly(result, expand, target.fill, random);
  if (crop) result = randomIouCrop(result, crop, random);
  if (random.uniform() < flip) result = flipSample(result);
  return scale ? scaleAndCrop(result, scale, 'fit', target, random) : fitSample(result, target, keepAspect);
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

/** How large 1 is: the picture just fits into the target, or just covers it. */
export type ScaleBase = 'fit' | 'cover';

function baseScale({ image }: JointSample, { width, height }: JointTarget, base: ScaleBase): number {
  const [across, down] = [width / image.width, height / image.height];
  return base === 'fit' ? Math.min(across, down) : Math.max(across, down);
}

/**
 * Scaled by a factor of the base; of what is larger than the target a random part, what is smaller is
 * filled up on the right and below (IGNORE in class masks).
 */
export function scaleAndCrop(
  sample: JointSample,
  scale: readonly [least: number, most: number],
  base: ScaleBase,
  target: JointTarget,
  random: Random,
): JointSample {
  const by = baseScale(sample, target, base) * between(random, scale);
  const [width, height] = scaledSides(sample, by);
  const x = random.integer(Math.max(0, width - target.width) + 1);
  const y = random.integer(Math.max(0, height - target.height) + 1);
  const resized = resizeSample(sample, width, height, target.interpolation);
  return windowSample(resized, { x, y, width: target.width, height: target.height }, target.fill);
}

const scaledSides = ({ image }: JointSample, by: number): readonly [number, number] => [
  Math.max(1, Math.round(image.width * by)),
  Math.max(1, Math.round(image.height * by)),
];

/** To the target's size: stretched, or with aspect kept and filled up on the right and below. */
export function fitSample(sample: JointSample, target: JointTarget, keepAspect: boolean): JointSample {
  const { width, height, interpolation, fill } = target;
  if (!keepAspect) return resizeSample(sample, width, height, interpolation);
  const [w, h] = scaledSides(sample, baseScale(sample, target, 'fit'));
  return windowSample(resizeSample(sample, w, h, interpolation), { x: 0, y: 0, width, height }, fill);
}
