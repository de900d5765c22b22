import type { Image } from '../../src/image/image.ts';
import { makePng } from './png.ts';

/** A picture as a PNG file. */
export function pngOf({ width, height, data }: Image): Uint8Array {
  const rows = new Uint8Array(height * (width * 3 + 1));
  for (let y = 0; y < height; y++) {
    rows.set(data.subarray(y * width * 3, (y + 1) * width * 3), y * (width * 3 + 1) + 1);
  }
  return makePng({ width, height, rows });
}
