import { ImageError } from '../errors.ts';

/** One number a pixel, row by row from the top left: a class mask, or an object's mask of 0 and 1. */
export interface IndexMap {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** Of a class mask: a pixel that counts neither for nor against. */
export const IGNORE = 255;

/**
 * At another size by nearest neighbour, as Pillow's `resize(size, NEAREST)`: each pixel takes the number under its
 * centre. @throws ImageError for a size that is not positive whole numbers
 */
export function resizeIndices(map: IndexMap, width: number, height: number): IndexMap {
  if (width === map.width && height === map.height) return map;
  if (!Number.isSafeInteger(width) || !Number.isSafeInteger(height) || width < 1 || height < 1)
    throw new ImageError(
      `resizeIndices: width and height must be whole numbers from 1, found ${width}×${height}.`,
    );
  const data = new Uint8Array(width * height);
  const columns = Int32Array.from({ length: width }, (_, x) =>
    Math.min(map.width - 1, Math.floor(((x + 0.5) * map.width) / width)),
  );
  for (let y = 0; y < height; y++) {
    const from = Math.min(map.height - 1, Math.floor(((y + 0.5) * map.height) / height)) * map.width;
    for (let x = 0; x < width; x++) data[y * width + x] = map.data[from + (columns[x] ?? 0)] ?? 0;
  }
  return { width, height, data };
}
