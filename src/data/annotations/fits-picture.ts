import type { PictureSize } from '../../image/picture-size.ts';
import type { ObjectMask } from './annotated.ts';

/** Whether a mask is of its picture's size; of polygons, whether they stay within one picture's sides around it. */
export function fitsPicture(mask: ObjectMask, { width, height }: PictureSize): boolean {
  if (mask.kind === 'rle') return mask.rle.width === width && mask.rle.height === height;
  const sides = [width, height];
  return mask.polygons.every((corners) =>
    corners.every((value, i) => {
      const side = sides[i % 2] ?? 0;
      return value >= -side && value <= 2 * side;
    }),
  );
}
