import type { Random } from '../../tensor/random.ts';
import type { Colour } from '../affine.ts';
import { between } from '../random-crop.ts';
import type { Interpolation } from '../resize.ts';
import { type JointSample, resizeSample, windowSample } from './joint-sample.ts';

/** The net's input. */
export interface JointTarget {
  readonly width: number;
  readonly height: number;
  readonly interpolation: Interpolation;
  /** Colour of what lies outside the picture; usually the normalization's mean. */
  readonly fill: Colour;
}

/** How large 1 is: the picture just fits into the target, or just covers it. */
export type ScaleBase = 'fit' | 'cover';

function baseScale({ image }: JointSample, { width, height }: JointTarget, base: ScaleBase): number {
  const [across, down] = [width / image.width, height / image.height];
  return base === 'fit' ? Math.min(across, down) : Math.max(across, down);
}

/**
 * Scaled by a factor of the base; of what is larger than the target a random part, what is smaller is
 * filled up on the right and below (IGNORE in class masks). Objects of which a share below `least` is left go.
 */
export function scaleAndCrop(
  sample: JointSample,
  scale: readonly [least: number, most: number],
  base: ScaleBase,
  target: JointTarget,
  random: Random,
  least = 0,
): JointSample {
  const by = baseScale(sample, target, base) * between(random, scale);
  const [width, height] = scaledSides(sample, by);
  const x = random.integer(Math.max(0, width - target.width) + 1);
  const y = random.integer(Math.max(0, height - target.height) + 1);
  const resized = resizeSample(sample, width, height, target.interpolation);
  return windowSample(resized, { x, y, width: target.width, height: target.height }, target.fill, least);
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
