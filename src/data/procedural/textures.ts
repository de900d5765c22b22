import type { Random } from '../../tensor/random.ts';

/** Painting with numbers: colours, noise and textures of procedural pictures. Channels are 0–1. */
export type Colour = readonly [red: number, green: number, blue: number];

/** Two colours, and how much of the second a pixel has: 0–1. */
export interface Texture {
  readonly first: Colour;
  readonly second: Colour;
  readonly share: (x: number, y: number) => number;
}

/** One colour everywhere. */
export const plain = (colour: Colour): Texture => ({ first: colour, second: colour, share: () => 0 });

/** 32 well-mixed bits of a place. */
export function hashAt(x: number, y: number, seed: number): number {
  let h = (Math.imul(x, 0x27d4eb2f) ^ Math.imul(y, 0x165667b1) ^ seed) >>> 0;
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return (h ^ (h >>> 15)) >>> 0;
}

/** Smooth noise in [0, 1): random values on a grid of the given spacing, blended. */
function valueNoise(x: number, y: number, spacing: number, seed: number): number {
  const gx = Math.floor(x / spacing);
  const gy = Math.floor(y / spacing);
  const fx = x / spacing - gx;
  const fy = y / spacing - gy;
  const sx = fx * fx * (3 - 2 * fx);
  const sy = fy * fy * (3 - 2 * fy);
  const top = mix(hashAt(gx, gy, seed), hashAt(gx + 1, gy, seed), sx);
  const bottom = mix(hashAt(gx, gy + 1, seed), hashAt(gx + 1, gy + 1, seed), sx);
  return mix(top, bottom, sy) / 2 ** 32;
}

export const mix = (a: number, b: number, share: number): number => a + (b - a) * share;

export function mixColours(a: Colour, b: Colour, share: number): Colour {
  return [mix(a[0], b[0], share), mix(a[1], b[1], share), mix(a[2], b[2], share)];
}

/** Hue in turns. */
function fromHsv(hue: number, saturation: number, value: number): Colour {
  const channel = (shift: number): number => {
    const k = (shift + 6 * hue) % 6;
    return value * (1 - saturation * Math.max(0, Math.min(k, 4 - k, 1)));
  };
  return [channel(5), channel(3), channel(1)];
}

/** @param values least and greatest brightness */
export function randomColour(random: Random, saturation: number, values: readonly [number, number]): Colour {
  const value = mix(values[0], values[1], random.uniform());
  return fromHsv(random.uniform(), saturation * (0.3 + 0.7 * random.uniform()), value);
}

/** How bright a colour is to the eye, 0–1 (ITU-R BT.601). */
export const luma = ([red, green, blue]: Colour): number => 0.299 * red + 0.587 * green + 0.114 * blue;

const share = (inside: boolean): number => (inside ? 1 : 0);

type Pattern = (u: number, v: number) => number;

/** How much of the second colour, by turned coordinates in units of the pattern's period. */
const patterns: readonly Pattern[] = [
  () => 0,
  (u) => share(u - Math.floor(u) < 0.5),
  (u, v) => share((Math.floor(u) + Math.floor(v)) % 2 !== 0),
  (u, v) => share(Math.hypot(u - Math.floor(u) - 0.5, v - Math.floor(v) - 0.5) < 0.3),
];

/**
 * Two colours in a random pattern, unevenly mottled.
 * @param period pixels after which the pattern repeats
 * @param contrast 0–1: how much the pattern shows
 */
export function randomTexture(
  random: Random,
  first: Colour,
  second: Colour,
  period: number,
  contrast: number,
): Texture {
  const pattern = patterns[random.integer(patterns.length)] ?? (() => 0);
  const angle = Math.PI * random.uniform();
  const cos = Math.cos(angle) / period;
  const sin = Math.sin(angle) / period;
  const seed = random.integer(2 ** 32);
  const spacing = period * (0.7 + random.uniform());
  return {
    first,
    second,
    share: (x, y) => {
      const coarse = valueNoise(x, y, spacing, seed);
      const fine = valueNoise(x, y, spacing / 3, seed + 1);
      return Math.min(
        1,
        0.325 * coarse + 0.175 * fine + contrast * pattern(cos * x + sin * y, cos * y - sin * x),
      );
    },
  };
}
