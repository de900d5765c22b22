import { UsageError } from '../../errors.ts';
import { checkSize } from '../../image/image.ts';
import { createRandom, type Random } from '../../tensor/random.ts';
import { describeScene } from './describe-scene.ts';
import { type Canvas, develop, fill, groundValues, type Light, paintBar, paintShape } from './paint.ts';
import type { Scene, SceneOptions } from './scene.ts';
import { type PlacedShape, type ShapeKind, shapeKinds } from './shapes.ts';
import { mix, randomColour, randomTexture } from './textures.ts';

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
