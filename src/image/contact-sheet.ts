import { ImageError } from '../errors.ts';
import type { Image } from './image.ts';

const gap = 4;
const paper = 255;

/**
 * Pictures side by side, row by row, in cells as large as the largest of them, on white.
 * @param columns pictures a row
 * @throws ImageError when there is no picture or no column
 */
export function contactSheet(pictures: readonly Image[], columns: number): Image {
  if (pictures.length === 0 || !Number.isSafeInteger(columns) || columns < 1)
    throw new ImageError(
      `contactSheet: expected pictures and at least one column, found ${pictures.length} and ${columns}.`,
    );
  const inRow = Math.min(columns, pictures.length);
  const cellWidth = Math.max(...pictures.map((picture) => picture.width)) + gap;
  const cellHeight = Math.max(...pictures.map((picture) => picture.height)) + gap;
  const width = gap + inRow * cellWidth;
  const height = gap + Math.ceil(pictures.length / inRow) * cellHeight;
  const data = new Uint8Array(width * height * 3).fill(paper);
  for (const [n, picture] of pictures.entries()) {
    const left = gap + (n % inRow) * cellWidth;
    const top = gap + Math.floor(n / inRow) * cellHeight;
    for (let y = 0; y < picture.height; y++) {
      const row = picture.data.subarray(y * picture.width * 3, (y + 1) * picture.width * 3);
      data.set(row, ((top + y) * width + left) * 3);
    }
  }
  return { width, height, data };
}
