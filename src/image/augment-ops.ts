import { type AffineInterpolation, type Colour, rotate, transformAffine } from './affine.ts';
import { adjustBrightness, adjustColor, adjustContrast, adjustHue, adjustSharpness } from './enhance.ts';
import type { Image } from './image.ts';
import { autoContrast, equalize, invert, posterize, solarize, solarizeAdd } from './point-ops.ts';

/** How operations that move a picture fill in. */
export interface MoveOptions {
  readonly interpolation: AffineInterpolation;
  /** Colour of places the picture does not cover. */
  readonly fill: Colour;
}

type AugmentOp = (image: Image, value: number, options: MoveOptions) => Image;

/**
 * Every operation of RandAugment, AutoAugment and colour jitter, byte for byte Pillow's. `value` is a factor
 * (adjust…), degrees, a shear, a share of the width or height (translate…), bits or a threshold; those of
 * `autoContrast`, `equalize` and `invert` is not used.
 */
export const augmentOps = {
  autoContrast,
  equalize,
  invert,
  posterize,
  solarize,
  solarizeAdd: (image, value) => solarizeAdd(image, value),
  adjustColor,
  adjustContrast,
  adjustBrightness,
  adjustSharpness,
  adjustHue,
  rotate: (image, value, { interpolation, fill }) => rotate(image, value, interpolation, fill),
  shearX: (image, value, options) => affine(image, [1, value, 0, 0, 1, 0], options),
  shearY: (image, value, options) => affine(image, [1, 0, 0, value, 1, 0], options),
  translateX: (image, value, options) => affine(image, [1, 0, value * image.width, 0, 1, 0], options),
  translateY: (image, value, options) => affine(image, [1, 0, 0, 0, 1, value * image.height], options),
} as const satisfies Readonly<Record<string, AugmentOp>>;

export type AugmentOpName = keyof typeof augmentOps;

function affine(
  image: Image,
  matrix: Parameters<typeof transformAffine>[1],
  { interpolation, fill }: MoveOptions,
): Image {
  return transformAffine(image, matrix, interpolation, fill);
}
