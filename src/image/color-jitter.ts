import type { Random } from '../tensor/random.ts';
import { adjustBrightness, adjustColor, adjustContrast, adjustHue } from './enhance.ts';
import type { Image } from './image.ts';
import { between } from './random-crop.ts';

/** Brightness, contrast and saturation each by a factor from 1 − x to 1 + x; hue by up to ±x of a turn. */
export interface ColorJitter {
  readonly brightness: number;
  readonly contrast: number;
  readonly saturation: number;
  readonly hue: number;
}

export const scaledJitter = (
  { brightness, contrast, saturation, hue }: ColorJitter,
  by: number,
): ColorJitter => ({
  brightness: brightness * by,
  contrast: contrast * by,
  saturation: saturation * by,
  hue: hue * by,
});

type Effect = (image: Image, jitter: ColorJitter, random: Random) => Image;

const factor = (random: Random, spread: number): number =>
  between(random, [Math.max(0, 1 - spread), 1 + spread]);

const effects: readonly Effect[] = [
  (image, { brightness }, random) =>
    brightness === 0 ? image : adjustBrightness(image, factor(random, brightness)),
  (image, { contrast }, random) => (contrast === 0 ? image : adjustContrast(image, factor(random, contrast))),
  (image, { saturation }, random) =>
    saturation === 0 ? image : adjustColor(image, factor(random, saturation)),
  (image, { hue }, random) => (hue === 0 ? image : adjustHue(image, between(random, [-hue, hue]))),
];

/** The four effects in a random order, as torchvision's ColorJitter. */
export function jitterColor(image: Image, jitter: ColorJitter, random: Random): Image {
  const rest = [...effects];
  let result = image;
  while (rest.length > 0) {
    const [effect] = rest.splice(random.integer(rest.length), 1);
    if (effect) result = effect(result, jitter, random);
  }
  return result;
}
