import type { Rgb } from '../image/class-colours.ts';
import type { Image } from '../image/image.ts';
import type { IndexMap } from '../image/index-map.ts';
import { resizeImage } from '../image/resize.ts';

const gap = 4;

/** Pictures in a row, all of the height that makes the row `width` wide, a little white between them. */
export function sideBySide(images: readonly Image[], width: number): Image {
  const ratio = images.reduce((sum, image) => sum + image.width / image.height, 0);
  const height = Math.max(1, Math.round((width - gap * (images.length - 1)) / ratio));
  const scaled = images.map((image) =>
    resizeImage(image, Math.max(1, Math.round((height * image.width) / image.height)), height, 'bilinear'),
  );
  const whole = scaled.reduce((sum, image) => sum + image.width + gap, -gap);
  const data = new Uint8Array(3 * whole * height).fill(255);
  let left = 0;
  for (const image of scaled) {
    for (let y = 0; y < height; y++)
      data.set(image.data.subarray(3 * y * image.width, 3 * (y + 1) * image.width), 3 * (y * whole + left));
    left += image.width + gap;
  }
  return { width: whole, height, data };
}

/** Each class in its colour; what is none is black. */
export function classMapPicture({ width, height, data }: IndexMap, colours: readonly Rgb[]): Image {
  const painted = new Uint8Array(3 * data.length);
  data.forEach((label, i) => {
    painted.set(colours[label] ?? [0, 0, 0], 3 * i);
  });
  return { width, height, data: painted };
}
