import type { AnchorLevel, AnchorStyle } from './anchors.ts';

type Sides = readonly [width: number, height: number];

/** Shapes at most; fewer where the data has fewer. */
const mostShapes = 9;
/** A box this many times as large as the distance between anchors has one that overlaps it enough to learn from. */
const sidesPerStride = 2.5;
const firstStride = 16;
const mostLevels = 6;
const rounds = 50;

/**
 * Anchors that suit the objects of some data: the boxes, in pixels of the net's input, are gathered into nine shapes by
 * k-means with 1 − IoU as distance; each shape goes to the deepest feature map (strides 16, 32, …) whose stride is at
 * most its mean side over 2.5, or to the first. Maps behind the last one in use are left out, but two remain; a map
 * between them without a shape gets a square of 2.5 strides.
 * @see YOLO9000, arXiv:1612.08242, section 2, for the k-means
 */
export function fitAnchors(boxes: readonly Sides[], size: number): AnchorStyle {
  const usable = boxes.filter(([width, height]) => width >= 1 && height >= 1);
  const shapes = gather(usable.length > 0 ? usable : [[size / 4, size / 4]]);
  const levels: Sides[][] = [[], []];
  for (const [width, height] of shapes) {
    const strides = Math.sqrt(width * height) / sidesPerStride / firstStride;
    const level = Math.min(mostLevels - 1, Math.max(0, Math.floor(Math.log2(strides))));
    while (levels.length <= level) levels.push([]);
    levels[level]?.push([rounded(width), rounded(height)]);
  }
  return {
    clip: 'none',
    levels: levels.map((own, i): AnchorLevel => {
      const side = Math.min(size, sidesPerStride * firstStride * 2 ** i);
      return { shapes: own.length > 0 ? own : [[side, side]] };
    }),
  };
}

const rounded = (side: number): number => Math.round(10 * side) / 10;

/** k-means from evenly spaced boxes by area, so that it depends on the boxes alone. @returns by area */
function gather(boxes: readonly Sides[]): readonly Sides[] {
  const sorted = [...boxes].sort((a, b) => a[0] * a[1] - b[0] * b[1] || a[0] - b[0]);
  const count = Math.min(mostShapes, new Set(sorted.map(String)).size);
  let shapes = Array.from(
    { length: count },
    (_, i): Sides => sorted[Math.floor(((i + 0.5) * sorted.length) / count)] ?? [1, 1],
  );
  for (let round = 0; round < rounds; round++) {
    const sums = shapes.map(() => [0, 0, 0] as [number, number, number]);
    for (const box of sorted) {
      const sum = sums[nearest(shapes, box)];
      if (sum === undefined) continue;
      sum[0] += box[0];
      sum[1] += box[1];
      sum[2]++;
    }
    const next = sums.map(
      ([width, height, own], i): Sides => (own > 0 ? [width / own, height / own] : (shapes[i] ?? [1, 1])),
    );
    if (String(next) === String(shapes)) break;
    shapes = next;
  }
  const distinct = new Map(shapes.map((shape) => [shape.map(rounded).join(), shape]));
  return [...distinct.values()].sort((a, b) => a[0] * a[1] - b[0] * b[1]);
}

function nearest(shapes: readonly Sides[], [width, height]: Sides): number {
  let [best, most] = [0, -1];
  shapes.forEach(([w, h], i) => {
    const common = Math.min(w, width) * Math.min(h, height);
    const iou = common / (w * h + width * height - common);
    if (iou > most) [best, most] = [i, iou];
  });
  return best;
}
