import type { Random } from '../tensor/random.ts';
import type { Colour } from './affine.ts';
import type { MoveOptions } from './augment-ops.ts';
import { autoAugment } from './auto-augment.ts';
import { type ColorJitter, jitterColor, scaledJitter } from './color-jitter.ts';
import type { Image } from './image.ts';
import { applyOrientation } from './orientation.ts';
import { type RandAugment, randAugment } from './rand-augment.ts';
import { type RandomCrop, randomResizedCrop } from './random-crop.ts';
import { eraseRandomly } from './random-erase.ts';
import type { Interpolation } from './resize.ts';

/** What is done to a training picture after decoding, in this order. Absent effects are null, false or 0. */
export interface Augmentation {
  readonly crop: RandomCrop;
  /** Chance of a horizontal flip. */
  readonly flip: number;
  readonly randAugment: RandAugment | null;
  readonly autoAugment: boolean;
  readonly color: ColorJitter | null;
  /** Chance of random erasing. */
  readonly erase: number;
}

export interface AugmentOptions {
  /** Side of the square result in pixels. */
  readonly size: number;
  /** 0–1: factor of RandAugment's level, AutoAugment's chances, the jitter and the chance of erasing. */
  readonly strength: number;
  readonly interpolation: Interpolation;
  /** Colour of what is erased, turned or moved away; usually the normalization's mean. */
  readonly fill: Colour;
}

const mirrored = 2;

/** A picture as it is learned from: `size` × `size`, decided by `random` alone. */
export function augment(
  image: Image,
  augmentation: Augmentation,
  options: AugmentOptions,
  random: Random,
): Image {
  const { size, strength, interpolation, fill } = options;
  const { flip, color, erase } = augmentation;
  const move: MoveOptions = { interpolation: 'bilinear', fill };
  let result = randomResizedCrop(image, size, augmentation.crop, interpolation, random);
  if (random.uniform() < flip) result = applyOrientation(result, mirrored);
  if (augmentation.randAugment) {
    const { level, ...setting } = augmentation.randAugment;
    result = randAugment(result, { ...setting, level: level * strength }, move, random);
  }
  if (augmentation.autoAugment) result = autoAugment(result, strength, move, random);
  if (color) result = jitterColor(result, scaledJitter(color, strength), random);
  if (random.uniform() < erase * strength) result = eraseRandomly(result, fill, random);
  return result;
}
