import { type MaskRle, mergeMasks } from './mask-rle.ts';

/**
 * Polygons are drawn as COCO's own tools draw them, pixel for pixel, for areas and IoUs must agree: the outline is
 * traced on a grid five times as fine, and each column's crossings are kept.
 */
const FINE = 5;
/** What C makes of a number that is none: a corner repeated on the fine grid has no slope. */
const NOT_A_NUMBER = -(2 ** 31);

/** Union of polygons. @param polygons x, y, x, y, … in pixels */
export function polygonMask(
  polygons: readonly (readonly number[])[],
  height: number,
  width: number,
): MaskRle {
  return mergeMasks(polygons.map((corners) => onePolygon(corners, height, width)));
}

interface Outline {
  readonly x: readonly number[];
  readonly y: readonly number[];
}

function onePolygon(corners: readonly number[], height: number, width: number): MaskRle {
  const { x, y } = traceOutline(corners);
  const crossings: number[] = [];
  for (let i = 1; i < x.length; i++) {
    const [x0 = 0, x1 = 0, y0 = 0, y1 = 0] = [x[i - 1], x[i], y[i - 1], y[i]];
    if (x1 === x0) continue;
    const column = ((x1 < x0 ? x1 : x1 - 1) + 0.5) / FINE - 0.5;
    if (!Number.isInteger(column) || column < 0 || column > width - 1) continue;
    const row = Math.ceil(Math.min(Math.max((Math.min(y0, y1) + 0.5) / FINE - 0.5, 0), height));
    crossings.push(column * height + row);
  }
  crossings.push(height * width);
  crossings.sort((a, b) => a - b);
  return { height, width, counts: Uint32Array.from(runsOf(crossings)) };
}

/** Every point of the fine grid that the outline passes, in its direction. */
function traceOutline(corners: readonly number[]): Outline {
  const count = Math.floor(corners.length / 2);
  const fine = (index: number): number => Math.trunc(FINE * (corners[index] ?? 0) + 0.5);
  const [x, y]: [number[], number[]] = [[], []];
  for (let i = 0; i < count; i++) {
    const next = (i + 1) % count;
    const [x0, y0, x1, y1] = [fine(2 * i), fine(2 * i + 1), fine(2 * next), fine(2 * next + 1)];
    const [across, down] = [Math.abs(x1 - x0), Math.abs(y1 - y0)];
    const flat = across >= down;
    const backwards = flat ? x0 > x1 : y0 > y1;
    const [fromX, fromY] = backwards ? [x1, y1] : [x0, y0];
    const [toX, toY] = backwards ? [x0, y0] : [x1, y1];
    const length = flat ? across : down;
    const slope = (flat ? toY - fromY : toX - fromX) / length;
    for (let step = 0; step <= length; step++) {
      const t = backwards ? length - step : step;
      x.push(flat ? fromX + t : truncated(fromX + slope * t + 0.5));
      y.push(flat ? truncated(fromY + slope * t + 0.5) : fromY + t);
    }
  }
  return { x, y };
}

const truncated = (value: number): number => (Number.isNaN(value) ? NOT_A_NUMBER : Math.trunc(value));

/** Differences of sorted positions; a run of no length joins those beside it. */
function runsOf(crossings: readonly number[]): readonly number[] {
  const lengths = crossings.map((position, i) => position - (crossings[i - 1] ?? 0));
  const runs = lengths.slice(0, 1);
  for (let i = 1; i < lengths.length; ) {
    const length = lengths[i++] ?? 0;
    if (length > 0) runs.push(length);
    else if (i < lengths.length) runs.push((runs.pop() ?? 0) + (lengths[i++] ?? 0));
  }
  return runs;
}
