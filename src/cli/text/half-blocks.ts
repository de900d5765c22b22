import type { Image } from '../../image/image.ts';
import { resizeImage } from '../../image/resize.ts';

/**
 * A picture as lines of a terminal with 24-bit colours: each cell is an upper half block, two pixels on top of each
 * other.
 * @param columns cells a line at most; the picture keeps its shape
 */
export function halfBlocks(image: Image, columns: number): readonly string[] {
  const ratio = Math.min(1, columns / image.width);
  const width = Math.max(1, Math.round(image.width * ratio));
  const height = 2 * Math.max(1, Math.round((image.height * ratio) / 2));
  const { data } = resizeImage(image, width, height, 'bilinear');
  const colour = (x: number, y: number): string => {
    const at = 3 * (y * width + x);
    return `${data[at]};${data[at + 1]};${data[at + 2]}`;
  };
  return Array.from({ length: height / 2 }, (_, row) => {
    const cells = Array.from(
      { length: width },
      (_, x) => `\x1b[38;2;${colour(x, 2 * row)};48;2;${colour(x, 2 * row + 1)}m▀`,
    );
    return `${cells.join('')}\x1b[0m`;
  });
}
