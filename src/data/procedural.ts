import { UsageError } from '../errors.ts';
import { checkSize, type Image } from '../image/image.ts';
import { createRandom, deriveSeed, type Random } from '../tensor/random.ts';
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
} from './procedural-paint.ts';
import { type PlacedShape, type ShapeKind, shapeDistance, shapeKinds } from './procedural-shapes.ts';

/** A rectangle of pixels: x, y of its left top pixel, and how many pixels it spans. */
export interface PixelBox {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface SceneObject {
  /** Index into the set's class names. */
  readonly label: number;
  /** The tightest around the pixels that can be seen. */
  readonly box: PixelBox;
  /** Pixels that can be seen. */
  readonly area: number;
}

/** One picture with everything that is known about it, for every task. */
export interface Scene {
  readonly image: Image;
  /** Of the object with most pixels. */
  readonly label: number;
  /** Back to front. */
  readonly objects: readonly SceneObject[];
  /** height·width, row by row: 0 ground, label + 1 elsewhere. Pixels under an occluder are ground. */
  readonly classMask: Uint8Array;
  /** The same with the object's index + 1. */
  readonly instanceMask: Uint8Array;
}

export interface SceneOptions {
  readonly width: number;
  readonly height: number;
  readonly seed: number;
  /** What may be on the picture; labels are indices into it. Default all of `shapeKinds`. */
  readonly kinds?: readonly ShapeKind[];
  /** Least and most objects, at most 254; default one. Those that find no free place are left out. */
  readonly objects?: readonly [least: number, most: number];
  /** Label of the first object; default random. */
  readonly label?: number;
  /** Least and greatest radius, as shares of the shorter side; default by the number of objects. */
  readonly radius?: readonly [least: number, most: number];
  /** How far shapes are turned at most, either way, in radians; default π, all the way. */
  readonly rotation?: number;
  /** How much patterns show, 0–1; default 1. */
  readonly texture?: number;
  /** At most so many bars across the picture; default 2. */
  readonly occluders?: number;
  /** Standard deviation of the noise, white being 1; default 0.03. */
  readonly noise?: number;
}

interface Canvas {
  readonly width: number;
  readonly height: number;
  /** RGB, 0–1. */
  readonly pixels: Float32Array;
  readonly instances: Uint8Array;
}

/** What all objects of a scene share. */
interface Light {
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
 * Draws shapes on textured ground, lit from one side, with bars in front and noise: the same picture for the same
 * options everywhere.
 * @throws ImageError for a size that is none, UsageError for counts, kinds or a label that cannot be
 */
export function drawScene(options: SceneOptions): Scene {
  const { width, height, seed, kinds = shapeKinds, texture = 1 } = options;
  checkSize(width, height, 'drawScene');
  checkScene(options);
  const random = createRandom(seed);
  const canvas: Canvas = {
    width,
    height,
    pixels: new Float32Array(width * height * 3),
    instances: new Uint8Array(width * height),
  };
  const light = randomLight(random);
  const ground = [randomColour(random, 0.7, groundValues), randomColour(random, 0.7, groundValues)] as const;
  const side = Math.min(width, height);
  fill(
    canvas,
    randomTexture(
      random,
      ...ground,
      side * (0.08 + 0.25 * random.uniform()),
      0.5 * texture * random.uniform(),
    ),
  );
  const shapes = placeShapes(options, kinds, random);
  for (const [i, shape] of shapes.entries())
    paintShape(canvas, shape, i + 1, { ground, light, texture }, random);
  const bars = random.integer((options.occluders ?? 2) + 1);
  for (let i = 0; i < bars; i++) paintBar(canvas, side, random);
  const image = develop(canvas, light, options.noise ?? 0.03, random.integer(2 ** 32));
  return {
    image,
    ...describeScene(
      canvas,
      shapes.map(({ kind }) => kinds.indexOf(kind)),
    ),
  };
}

function checkScene({
  kinds = shapeKinds,
  objects = [1, 1],
  label,
  radius = [0.1, 0.4],
}: SceneOptions): void {
  const [least, most] = objects;
  if (
    !(Number.isSafeInteger(least) && Number.isSafeInteger(most) && least >= 1 && most >= least && most < 255)
  )
    throw new UsageError(`drawScene: objects must be 1 ≤ least ≤ most ≤ 254, found ${least} and ${most}.`);
  if (kinds.length === 0) throw new UsageError('drawScene: kinds is empty; give at least one.');
  if (label !== undefined && !(label in kinds))
    throw new UsageError(`drawScene: label ${label} is none of the ${kinds.length} kinds.`);
  if (!(radius[0] > 0 && radius[1] >= radius[0] && radius[1] <= 0.5))
    throw new UsageError(`drawScene: radius must be 0 < least ≤ most ≤ 0.5, found ${radius.join(' and ')}.`);
}

function randomLight(random: Random): Light {
  const angle = 2 * Math.PI * random.uniform();
  const middle = 0.75 + 0.35 * random.uniform();
  const slope = 0.3 * random.uniform();
  return {
    x: Math.cos(angle),
    y: Math.sin(angle),
    range: [middle - slope, middle + slope],
    shadow: 0.2 + 0.4 * random.uniform(),
  };
}

function placeShapes(
  options: SceneOptions,
  kinds: readonly ShapeKind[],
  random: Random,
): readonly PlacedShape[] {
  const { width, height, objects: [least, most] = [1, 1], label } = options;
  const [small, large] = options.radius ?? (most === 1 ? [0.22, 0.4] : [0.1, 0.24]);
  const wanted = least + random.integer(most - least + 1);
  const shapes: PlacedShape[] = [];
  for (let tries = 0; shapes.length < wanted && tries < 20 * wanted; tries++) {
    const radius = Math.min(width, height) * mix(small, large, random.uniform());
    const margin = 0.85 * radius;
    const first = shapes.length === 0 ? label : undefined;
    const shape: PlacedShape = {
      kind: kinds[first ?? random.integer(kinds.length)] ?? 'circle',
      x: mix(margin, width - margin, random.uniform()),
      y: mix(margin, height - margin, random.uniform()),
      radius,
      rotation: (options.rotation ?? Math.PI) * (2 * random.uniform() - 1),
    };
    const free = shapes.every((s) => Math.hypot(s.x - shape.x, s.y - shape.y) > 0.85 * (s.radius + radius));
    if (free) shapes.push(shape);
  }
  return shapes;
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

function fill(canvas: Canvas, texture: Texture): void {
  for (let y = 0, place = 0; y < canvas.height; y++)
    for (let x = 0; x < canvas.width; x++) blend(canvas, place++, texture, texture.share(x, y), 1);
}

/** How much of a pixel lies inside an outline that is `distance` away. */
const coverage = (distance: number): number => Math.min(1, Math.max(0, 0.5 - distance));

const black: Colour = [0, 0, 0];
const white: Colour = [1, 1, 1];
const shade = plain(black);

/** Shapes are brighter than what they lie on, as toys on a cloth. */
const groundValues = [0.12, 0.5] as const;
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

function paintShape(
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

function paintBar(canvas: Canvas, side: number, random: Random): void {
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
function develop({ width, height, pixels }: Canvas, light: Light, noise: number, seed: number): Image {
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

/** Boxes and masks of what can be seen; objects without a pixel are gone. */
function describeScene(canvas: Canvas, labels: readonly number[]): Omit<Scene, 'image'> {
  const { width, instances } = canvas;
  const bounds = labels.map((label) => ({
    label,
    left: width,
    top: canvas.height,
    right: -1,
    bottom: -1,
    area: 0,
  }));
  for (let y = 0, place = 0; y < canvas.height; y++) {
    for (let x = 0; x < width; x++, place++) {
      const one = bounds[(instances[place] ?? 0) - 1];
      if (!one) continue;
      one.left = Math.min(one.left, x);
      one.right = Math.max(one.right, x);
      one.top = Math.min(one.top, y);
      one.bottom = y;
      one.area++;
    }
  }
  const objects: SceneObject[] = [];
  const numbers = bounds.map(({ label, left, top, right, bottom, area }) =>
    area === 0
      ? 0
      : objects.push({
          label,
          area,
          box: { x: left, y: top, width: right - left + 1, height: bottom - top + 1 },
        }),
  );
  const instanceMask = instances.map((one) => numbers[one - 1] ?? 0);
  const classMask = instanceMask.map((one) => (one === 0 ? 0 : (objects[one - 1]?.label ?? 0) + 1));
  const [first] = [...objects].sort((a, b) => b.area - a.area);
  return { label: first?.label ?? labels[0] ?? 0, objects, classMask, instanceMask };
}

export interface ProceduralOptions extends Omit<SceneOptions, 'seed' | 'label'> {
  readonly count: number;
  readonly seed: number;
}

/** A set of scenes, drawn when asked for. Sets of different seeds have nothing in common. */
export interface ProceduralSet {
  readonly classNames: readonly string[];
  readonly length: number;
  /** @param index below `length`; the first objects take the labels in turn, so that classes are balanced */
  readonly scene: (index: number) => Scene;
}

/** @throws UsageError when the count is no whole number, or for an index outside the set */
export function proceduralSet(options: ProceduralOptions): ProceduralSet {
  const { count, seed, kinds = shapeKinds, ...rest } = options;
  if (!Number.isSafeInteger(count) || count < 0)
    throw new UsageError(`proceduralSet: count must be a whole number, found ${count}.`);
  return {
    classNames: kinds,
    length: count,
    scene: (index) => {
      if (!Number.isSafeInteger(index) || index < 0 || index >= count)
        throw new UsageError(`proceduralSet: index ${index} is outside the ${count} scenes.`);
      return drawScene({ ...rest, kinds, seed: deriveSeed(seed, index), label: index % kinds.length });
    },
  };
}
