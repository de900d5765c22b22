export type Rgb = readonly [red: number, green: number, blue: number];

/**
 * Colours of classes. The first are Okabe and Ito's, made to be told apart with any kind of colour vision; further
 * ones are those that lie farthest from all before them, as seen with normal vision and without red or green cones.
 * @see M. Okabe, K. Ito, Color Universal Design
 */
const first: readonly Rgb[] = [
  [230, 159, 0],
  [86, 180, 233],
  [0, 158, 115],
  [240, 228, 66],
  [0, 114, 178],
  [213, 94, 0],
  [204, 121, 167],
];

/** Linear RGB as seen by normal, red-blind and green-blind eyes. @see Machado et al. 2009, severity 1 */
const visions: readonly (readonly [Rgb, Rgb, Rgb])[] = [
  [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
];

/** CIELAB lightness; what is outside would look like a shadow or a light. */
const [darkest, brightest] = [35, 93];

let known: readonly Rgb[] = first;

/** Colours of labels 0, 1, …; a label's is the same however many there are. */
export function classColours(count: number): readonly Rgb[] {
  if (count > known.length) known = extended(count);
  return known.slice(0, count);
}

/** How far colours are apart at worst, over all kinds of vision: CIELAB ΔE*ab, where 2 can just be seen. */
export function colourDistance(a: Rgb, b: Rgb): number {
  return distance(appearances(a), appearances(b));
}

type Lab = readonly [number, number, number];

function extended(count: number): readonly Rgb[] {
  const steps = [20, 60, 100, 140, 180, 215, 250];
  const candidates = steps.flatMap((r) => steps.flatMap((g) => steps.map((b): Rgb => [r, g, b])));
  const rest = candidates
    .map((rgb) => ({ rgb, seen: appearances(rgb), gap: Number.POSITIVE_INFINITY }))
    .filter(({ seen: [normal] }) => normal !== undefined && normal[0] > darkest && normal[0] < brightest);
  const chosen: Rgb[] = [];
  const take = (rgb: Rgb): void => {
    const seen = appearances(rgb);
    chosen.push(rgb);
    for (const other of rest) other.gap = Math.min(other.gap, distance(seen, other.seen));
  };
  first.forEach(take);
  while (chosen.length < count) take(rest.reduce((best, one) => (one.gap > best.gap ? one : best)).rgb);
  return chosen;
}

function distance(a: readonly Lab[], b: readonly Lab[]): number {
  return Math.min(
    ...a.map(([l, u, v], i) => {
      const [ol, ou, ov] = b[i] ?? [l, u, v];
      return Math.hypot(l - ol, u - ou, v - ov);
    }),
  );
}

function appearances(rgb: Rgb): readonly Lab[] {
  const [r = 0, g = 0, b = 0] = rgb.map((value) => linear(value / 255));
  const mixed = ([ofR, ofG, ofB]: Rgb): number => Math.min(1, Math.max(0, ofR * r + ofG * g + ofB * b));
  return visions.map(([red, green, blue]) => toLab(mixed(red), mixed(green), mixed(blue)));
}

const linear = (value: number): number =>
  value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;

/** Linear sRGB under D65 → CIELAB. */
function toLab(r: number, g: number, b: number): Lab {
  const f = (t: number): number => (t > 216 / 24389 ? Math.cbrt(t) : (t * 24389) / 3132 + 4 / 29);
  const x = f((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505);
  const y = f(0.2126 * r + 0.7152 * g + 0.0722 * b);
  const z = f((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089);
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

/** Black or white, whichever reads better on a colour. */
export function inkOn(colour: Rgb): Rgb {
  const [r = 0, g = 0, b = 0] = colour.map((value) => linear(value / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? [0, 0, 0] : [255, 255, 255];
}
