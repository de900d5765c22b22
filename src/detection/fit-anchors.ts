import type { AnchorLevel, AnchorStyle } from './anchors.ts';

type Sides = readonly [width: number, height: number];

/** Shapes at most; fewer where the data has fewer. */
const mostShapes = 9;
/** A box this many times as large as the distance between anchors has one that overlaps it enough to learn from. */
const sidesPerStride = 2.5;
const firstStride = 16;
const mostLevels = 6;
const rounds = 50;
/** Shapes that overlap more, centre on centre, are one. */
const sameShape = 0.65;

interface Cluster {
  readonly sides: Sides;
  readonly count: number;
}

/**
 * Anchors that suit the objects of some data: the boxes, in pixels of the net's input, are gathered into nine shapes by
 * k-means with 1 − IoU as distance, of which those that overlap by more than 0.65 become one: where several anchors
 * find the same objects, frequent classes would drown the others. Each shape goes to the deepest feature map (strides 16, 32, …) whose stride is at
 * most its mean side over 2.5, or to the first. Maps behind the last one in use are left out, but two remain; a map
 * between them without a shape gets a square of 2.5 strides.
 * @see YOLO9000, arXiv:1612.08242, section 2, for the k-means
 */
export function fitAnchors(boxes: readonly Sides[], size: number): AnchorStyle {
  const usable = boxes.filter(([width, height]) => width >= 1 && height >= 1);
  const shapes = distinct(gather(usable.length > 0 ? usable : [[size / 4, size / 4]]));
  const levels: Sides[][] = [[], []];
  for (const {
    sides: [width, height],
  } of shapes) {
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

/** k-means from evenly spaced boxes by area, so that it depends on the boxes alone. */
function gather(boxes: readonly Sides[]): readonly Cluster[] {
  const sorted = [...boxes].sort((a, b) => a[0] * a[1] - b[0] * b[1] || a[0] - b[0]);
  const count = Math.min(mostShapes, new Set(sorted.map(String)).size);
  let clusters = Array.from({ length: count }, (_, i): Cluster => {
    const sides = sorted[Math.floor(((i + 0.5) * sorted.length) / count)] ?? [1, 1];
    return { sides, count: 0 };
  });
  for (let round = 0; round < rounds; round++) {
    const sums = clusters.map(() => [0, 0, 0] as [number, number, number]);
    for (const box of sorted) {
      const sum = sums[nearest(clusters, box)];
      if (sum === undefined) continue;
      sum[0] += box[0];
      sum[1] += box[1];
      sum[2]++;
    }
    const next = sums.flatMap(([width, height, own]): Cluster[] =>
      own > 0 ? [{ sides: [width / own, height / own], count: own }] : [],
    );
    if (JSON.stringify(next) === JSON.stringify(clusters)) break;
    clusters = next;
  }
  return clusters;
}

function nearest(clusters: readonly Cluster[], box: Sides): number {
  let [best, most] = [0, -1];
  clusters.forEach(({ sides }, i) => {
    const iou = centredIou(sides, box);
    if (iou > most) [best, most] = [i, iou];
  });
  return best;
}

function centredIou([w, h]: Sides, [width, height]: Sides): number {
  const common = Math.min(w, width) * Math.min(h, height);
  return common / (w * h + width * height - common);
}

/** Joins the two most alike until all differ. @returns by area */
function distinct(clusters: readonly Cluster[]): readonly Cluster[] {
  const rest = [...clusters];
  for (;;) {
    let [first, second, most] = [0, 0, sameShape];
    rest.forEach((a, i) => {
      rest.slice(i + 1).forEach((b, j) => {
        const iou = centredIou(a.sides, b.sides);
        if (iou > most) [first, second, most] = [i, i + 1 + j, iou];
      });
    });
    const [a, b] = [rest[first], rest[second]];
    if (first === second || !a || !b) break;
    const count = a.count + b.count;
    const mean = (axis: 0 | 1): number => (a.sides[axis] * a.count + b.sides[axis] * b.count) / count;
    rest.splice(second, 1);
    rest[first] = { sides: [mean(0), mean(1)], count };
  }
  return rest.sort((a, b) => a.sides[0] * a.sides[1] - b.sides[0] * b.sides[1]);
}
