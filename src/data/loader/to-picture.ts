import { ImageError } from '../../errors.ts';
import type { Image } from '../../image/image.ts';
import type { Batch } from './batch.ts';

/** What of a batch makes pictures again. */
export type BatchPictures = Pick<Batch, 'height' | 'width' | 'normalization'> & {
  readonly images: ArrayLike<number>;
};

/**
 * A row of a batch as the net sees it, back in 8-bit RGB: the inverse of the normalization, rounded.
 * @throws ImageError when the batch has no such row
 */
export function toPicture(batch: BatchPictures, row: number): Image {
  const { images, height, width, normalization } = batch;
  const length = height * width * 3;
  const rows = images.length / length;
  if (!Number.isSafeInteger(row) || row < 0 || row >= rows)
    throw new ImageError(`toPicture: row ${row} is not one of the batch's ${rows}.`, { row, rows });
  const { mean, std, scale } = normalization;
  const data = new Uint8ClampedArray(length);
  for (let i = 0; i < length; i++) {
    const c = i % 3;
    data[i] = (((images[row * length + i] ?? 0) * (std[c] ?? 1) + (mean[c] ?? 0)) * 255) / scale;
  }
  return { width, height, data: new Uint8Array(data.buffer) };
}
