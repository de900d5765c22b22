import { IGNORE, type IndexMap } from '../../image/index-map.ts';
import type { PictureSize } from '../../image/picture-size.ts';
import type { Box } from '../../metrics/detection/box.ts';
import { type MaskRle, maskArea } from '../../metrics/detection/mask-rle.ts';
import type { AnnotatedObject } from './annotated.ts';
import { fitsPicture } from './fits-picture.ts';
import { maskRuns } from './read-joint.ts';

/**
 * A class for each pixel from objects: each object's mask holds its category, everything else the background. Where
 * masks overlap the smaller object counts, since what lies on or before something larger is mostly smaller (of equal
 * ones the later). Nothing is known of the pixels of crowds and of boxes without a mask: they are ignored, except where
 * another object has them. torchvision's reference ignores all overlaps instead, which loses what people hold and wear.
 */
export function classesOfObjects(
  objects: readonly AnnotatedObject[],
  size: PictureSize,
  background: number,
): IndexMap {
  const { width, height } = size;
  const data = new Uint8Array(width * height).fill(background);
  const known: { readonly runs: MaskRle; readonly category: number; readonly area: number }[] = [];
  for (const { mask, crowd, category, box } of objects) {
    const runs = mask && fitsPicture(mask, size) ? maskRuns(mask, size) : undefined;
    if (runs === undefined) paintBox(box, IGNORE, { width, height, data });
    else if (crowd) paintRuns(runs, IGNORE, data);
    else known.push({ runs, category, area: maskArea(runs) });
  }
  // Sorting keeps the order of equal ones.
  known.sort((a, b) => b.area - a.area);
  for (const { runs, category } of known) paintRuns(runs, category, data);
  return { width, height, data };
}

/** Runs go down the columns. */
function paintRuns({ height, width, counts }: MaskRle, value: number, data: Uint8Array): void {
  let position = 0;
  counts.forEach((count, i) => {
    const end = position + count;
    if (i % 2 === 1)
      for (let at = position; at < end; at++) data[(at % height) * width + Math.floor(at / height)] = value;
    position = end;
  });
}

/** Every pixel that the box touches. */
function paintBox([x, y, w, h]: Box, value: number, { width, height, data }: IndexMap): void {
  const [left, right] = [Math.max(0, Math.floor(x)), Math.min(width, Math.ceil(x + w))];
  if (left >= right) return;
  for (let row = Math.max(0, Math.floor(y)); row < Math.min(height, Math.ceil(y + h)); row++)
    data.fill(value, row * width + left, row * width + right);
}
