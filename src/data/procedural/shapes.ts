/**
 * The kinds of things on procedural pictures, as signed distances: negative inside, 0 on the outline, in units in
 * which the shape reaches about 1 from its centre. A distance gives outlines, anti-aliasing and soft shadows alike.
 */
type Distance = (x: number, y: number) => number;

type Point = readonly [x: number, y: number];

/** Points on rays from the centre, at the radii given in turn, the first one upwards. */
function rays(count: number, ...radii: readonly number[]): readonly Point[] {
  return Array.from({ length: count }, (_, i) => {
    const angle = (2 * Math.PI * i) / count;
    const radius = radii[i % radii.length] ?? 1;
    return [radius * Math.sin(angle), -radius * Math.cos(angle)];
  });
}

/** Distance to a closed polygon: to the nearest edge, signed by the crossings of a ray to the right. */
function polygon(points: readonly Point[]): Distance {
  const edges = points.map(([ax, ay], i) => {
    const [bx, by] = points[(i + 1) % points.length] ?? [ax, ay];
    const [ux, uy] = [bx - ax, by - ay];
    return { ax, ay, by, ux, uy, scale: 1 / (ux * ux + uy * uy) };
  });
  return (x, y) => {
    let nearest = Number.POSITIVE_INFINITY;
    let inside = false;
    for (const { ax, ay, by, ux, uy, scale } of edges) {
      const dx = x - ax;
      const dy = y - ay;
      const along = Math.min(1, Math.max(0, (dx * ux + dy * uy) * scale));
      const ex = dx - along * ux;
      const ey = dy - along * uy;
      nearest = Math.min(nearest, ex * ex + ey * ey);
      if (ay > y !== by > y && dx < (ux * dy) / uy) inside = !inside;
    }
    return inside ? -Math.sqrt(nearest) : Math.sqrt(nearest);
  };
}

const disc =
  (radius: number, centreX = 0): Distance =>
  (x, y) =>
    Math.hypot(x - centreX, y) - radius;

const minus =
  (a: Distance, b: Distance): Distance =>
  (x, y) =>
    Math.max(a(x, y), -b(x, y));

const arm = 0.3;
const heart: readonly Point[] = Array.from({ length: 28 }, (_, i) => {
  const t = (2 * Math.PI * i) / 28;
  const y = 13 * Math.cos(t) - 5 * Math.cos(2 * t) - 2 * Math.cos(3 * t) - Math.cos(4 * t);
  return [Math.sin(t) ** 3, -(y + 2.5) / 16];
});

const distances = {
  circle: disc(0.9),
  square: polygon(rays(4, 1.08)),
  triangle: polygon(rays(3, 1.1)),
  star: polygon(rays(10, 1.1, 0.45)),
  ring: minus(disc(0.95), disc(0.5)),
  cross: polygon([
    [-arm, -1],
    [arm, -1],
    [arm, -arm],
    [1, -arm],
    [1, arm],
    [arm, arm],
    [arm, 1],
    [-arm, 1],
    [-arm, arm],
    [-1, arm],
    [-1, -arm],
    [-arm, -arm],
  ]),
  crescent: minus(disc(0.98), disc(0.85, 0.55)),
  heart: polygon(heart),
} as const satisfies Readonly<Record<string, Distance>>;

export type ShapeKind = keyof typeof distances;

/** Every kind, in label order. */
export const shapeKinds: readonly ShapeKind[] = [
  'circle',
  'square',
  'triangle',
  'star',
  'ring',
  'cross',
  'crescent',
  'heart',
];

/** A shape somewhere on a picture; lengths and places in pixels, rotation in radians. */
export interface PlacedShape {
  readonly kind: ShapeKind;
  readonly x: number;
  readonly y: number;
  readonly radius: number;
  readonly rotation: number;
}

/** Distance in pixels to a placed shape's outline. */
export function shapeDistance({ kind, x, y, radius, rotation }: PlacedShape): Distance {
  const distance = distances[kind];
  const cos = Math.cos(rotation) / radius;
  const sin = Math.sin(rotation) / radius;
  return (px, py) => {
    const dx = px - x;
    const dy = py - y;
    return radius * distance(cos * dx + sin * dy, cos * dy - sin * dx);
  };
}
