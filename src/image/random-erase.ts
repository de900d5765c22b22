import type { Random } from '../tensor/random.ts';
import type { Colour } from './affine.ts';
import type { Image } from './image.ts';
import { between, betweenInLog } from './random-crop.ts';

const area = [0.02, 1 / 3] as const;
const ratio = [0.3, 1 / 0.3] as const;
const tries = 10;

/**
 * Covers a random rectangle with a colour: 2 % to a third of the area, width over height 0.3 to 1/0.3, ten tries to
 * find one that fits. With the normalization's mean as colour this is timm's constant random erasing, rounded to
 * 8 bits.
 * @see arXiv:1708.04896
 */
export function eraseRandomly(image: Image, fill: Colour, random: Random): Image {
  const { width, height } = image;
  for (let attempt = 0; attempt < tries; attempt++) {
    const target = width * height * between(random, area);
    const aspect = betweenInLog(random, ratio);
    const w = Math.round(Math.sqrt(target * aspect));
    const h = Math.round(Math.sqrt(target / aspect));
    if (w < 1 || h < 1 || w >= width || h >= height) continue;
    const left = random.integer(width - w + 1);
    const top = random.integer(height - h + 1);
    const data = new Uint8Array(image.data);
    const row = new Uint8Array(w * 3);
    for (let i = 0; i < row.length; i++) row[i] = fill[i % 3] ?? 0;
    for (let y = top; y < top + h; y++) data.set(row, (y * width + left) * 3);
    return { width, height, data };
  }
  return image;
}
