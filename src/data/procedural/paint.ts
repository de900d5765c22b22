/** Ground, shapes and bars on a canvas of numbers, and the picture that light and noise make of it. */
import type { Image } from '../../image/image.ts';
import type { Random } from '../../tensor/random.ts';
import { type PlacedShape, shapeDistance } from './shapes.ts';
import {
  type Colour,
  hashAt,
  luma,
  mix,
  mixColours,
  plain,
  randomColour,
  randomTexture,
  type Texture,
} from './textures.ts';

export interface Canvas {
  readonly width: number;
  readonly height: number;
  /** RGB, 0–1. */
  readonly pixels: Float32Array;
  readonly instances: Uint8Array;
}

/** What all objects of a scene share. */
export interface Light {
  /** Unit vector towards the light. */
  readonly x: number;
  readonly y: number;
  /** Brightness at the dark and the light edge of the picture. */
  readonly range: readonly [number, number];
  readonly shadow: number;
}

interface Surroundings {
  readonly ground: readonly Colour[];
  readonly light: Light;
  /** How much patterns show. */
  readonly texture: number;
}

/**
 * Paints one pixel.
 * @param covered 0–1: how much of what was there is hidden
 * @param light by which the texture is brightened
 */
function blend(
  { pixels }: Canvas,
  place: number,
  { first, second }: Texture,
  share: number,
  covered: number,
  light = 1,
): void {
  const at = 3 * place;
  for (let c = 0; c < 3; c++) {
    const value = light * mix(first[c] ?? 0, second[c] ?? 0, share);
    pixels[at + c] = mix(pixels[at + c] ?? 0, value, covered);
  }
}

export function fill(canvas: Canvas, texture: Texture): void {
  for (let y = 0, place = 0; y < canvas.height; y++)
    for (let x = 0; x < canvas.width; x++) blend(canvas, place++, texture, texture.share(x, y), 1);
}

/** How much of a pixel lies inside an outline that is `distance` away. */
const coverage = (distance: number): number => Math.min(1, Math.max(0, 0.5 - distance));

const black: Colour = [0, 0, 0];
const white: Colour = [1, 1, 1];
const shade = plain(black);

/** Shapes are brighter than what they lie on, as toys on a cloth. */
export const groundValues = [0.12, 0.5] as const;
const shapeValues = [0.65, 1] as const;
const barValues = [0.2, 0.9] as const;

/** A colour that stands out from the ground. */
function contrasting(ground: readonly Colour[], random: Random): Colour {
  const darkest = Math.max(...ground.map(luma)) + 0.2;
  let best = randomColour(random, 1, shapeValues);
  for (let tries = 0; tries < 8 && luma(best) < darkest; tries++) {
    const other = randomColour(random, 1, shapeValues);
    if (luma(other) > luma(best)) best = other;
  }
  return best;
}

export function paintShape(
  canvas: Canvas,
  shape: PlacedShape,
  instance: number,
  { ground, light, texture: contrast }: Surroundings,
  random: Random,
): void {
  const colour = contrasting(ground, random);
  const second = mixColours(colour, random.uniform() < 0.5 ? white : black, 0.1 + 0.25 * random.uniform());
  const { radius } = shape;
  const texture = randomTexture(
    random,
    colour,
    second,
    radius * (0.3 + 0.5 * random.uniform()),
    0.8 * contrast,
  );
  const rim = random.uniform() < 0.4 ? Math.max(1, 0.08 * radius) : 0;
  const rimTexture = plain(mixColours(colour, random.uniform() < 0.5 ? white : black, 0.6));
  const distance = shapeDistance(shape);
  const softness = 0.15 * radius;
  const drop = 0.12 * radius;
  const reach = 1.15 * radius + drop + softness + 1;
  const rows = span(shape.y, reach, canvas.height);
  const columns = span(shape.x, reach, canvas.width);
  for (let y = rows[0]; y < rows[1]; y++) {
    for (let x = columns[0]; x < columns[1]; x++) {
      const place = y * canvas.width + x;
      const inside = distance(x + 0.5, y + 0.5);
      const covered = coverage(inside);
      if (covered < 1) {
        const behind = distance(x + 0.5 + drop * light.x, y + 0.5 + drop * light.y);
        const dark = Math.min(1, Math.max(0, 0.5 - behind / (2 * softness)));
        blend(canvas, place, shade, 0, light.shadow * dark);
      }
      if (covered === 0) continue;
      const lit = 1 + 0.25 * (((x - shape.x) * light.x + (y - shape.y) * light.y) / radius);
      const body = inside > -rim ? rimTexture : texture;
      blend(canvas, place, body, body.share(x, y), covered, lit);
      if (covered >= 0.5) canvas.instances[place] = instance;
    }
  }
}

/** Pixels from `centre − reach` to `centre + reach` that are on the picture; the end is not included. */
function span(centre: number, reach: number, size: number): readonly [number, number] {
  return [Math.max(0, Math.floor(centre - reach)), Math.min(size, Math.ceil(centre + reach))];
}

export function paintBar(canvas: Canvas, side: number, random: Random): void {
  const angle = Math.PI * random.uniform();
  const [nx, ny] = [Math.cos(angle), Math.sin(angle)];
  const middle = canvas.width * random.uniform() * nx + canvas.height * random.uniform() * ny;
  const half = side * (0.008 + 0.02 * random.uniform());
  const texture = randomTexture(
    random,
    randomColour(random, 0.7, barValues),
    randomColour(random, 0.7, barValues),
    8 * half,
    0.5,
  );
  for (let y = 0, place = 0; y < canvas.height; y++) {
    for (let x = 0; x < canvas.width; x++, place++) {
      const covered = coverage(Math.abs((x + 0.5) * nx + (y + 0.5) * ny - middle) - half);
      if (covered === 0) continue;
      blend(canvas, place, texture, texture.share(x, y), covered);
      if (covered >= 0.5) canvas.instances[place] = 0;
    }
  }
}

/** Light falls in, noise is added, and what comes out is 8 bits deep. */
export function develop({ width, height, pixels }: Canvas, light: Light, noise: number, seed: number): Image {
  const data = new Uint8Array(pixels.length);
  const reach = Math.abs(light.x) * width + Math.abs(light.y) * height;
  // The sum of four bytes, nearly normal, has a deviation of 147.8.
  const strength = noise / 147.8;
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const share = 0.5 + ((x - width / 2) * light.x + (y - height / 2) * light.y) / reach;
      const bright = mix(light.range[0], light.range[1], share);
      for (let c = 0; c < 3; c++, at++) {
        const bits = hashAt(x, 3 * y + c, seed);
        const sum = (bits & 255) + ((bits >> 8) & 255) + ((bits >> 16) & 255) + (bits >>> 24);
        const value = (pixels[at] ?? 0) * bright + strength * (sum - 510);
        data[at] = Math.round(255 * Math.min(1, Math.max(0, value)));
      }
    }
  }
  return { width, height, data };
}
