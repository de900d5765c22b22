import type { Random } from '../tensor/random.ts';
import { cropImage, roundHalfEven } from './crop.ts';
import type { Image } from './image.ts';
import { type Interpolation, type Region, resizeImage } from './resize.ts';

/** What a random crop may be: share of the picture's area, and width over height. */
export interface RandomCrop {
  readonly area: readonly [least: number, most: number];
  readonly ratio: readonly [least: number, most: number];
}

const tries = 10;

/** Uniform in [least, most). */
export const between = (random: Random, [least, most]: readonly [number, number]): number =>
  least + (most - least) * random.uniform();

/** Such that half of the results lie below √(least·most), as for ratios and factors. */
export const betweenInLog = (random: Random, [least, most]: readonly [number, number]): number =>
  Math.exp(between(random, [Math.log(least), Math.log(most)]));

/**
 * Where torchvision's and mmpretrain's RandomResizedCrop cut: ten tries at an area and a log-uniform ratio that fit,
 * else the largest centre crop whose ratio is allowed.
 * @see torchvision.transforms.RandomResizedCrop.get_params
 */
export function randomRegion(width: number, height: number, crop: RandomCrop, random: Random): Region {
  for (let attempt = 0; attempt < tries; attempt++) {
    const area = width * height * between(random, crop.area);
    const ratio = betweenInLog(random, crop.ratio);
    const w = roundHalfEven(Math.sqrt(area * ratio));
    const h = roundHalfEven(Math.sqrt(area / ratio));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    const y = random.integer(height - h + 1);
    return { x: random.integer(width - w + 1), y, width: w, height: h };
  }
  const [least, most] = crop.ratio;
  const ratio = width / height;
  const w = ratio > most ? Math.max(1, roundHalfEven(height * most)) : width;
  const h = ratio < least ? Math.max(1, roundHalfEven(width / least)) : height;
  return { x: Math.floor((width - w) / 2), y: Math.floor((height - h) / 2), width: w, height: h };
}

/** A random part of the picture at `size` × `size`; Pillow's crop and resize. */
export function randomResizedCrop(
  image: Image,
  size: number,
  crop: RandomCrop,
  interpolation: Interpolation,
  random: Random,
): Image {
  const region = randomRegion(image.width, image.height, crop, random);
  return resizeImage(cropImage(image, region), size, size, interpolation);
}
