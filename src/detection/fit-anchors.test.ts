import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '../tensor/random.ts';
import { fitAnchors } from './fit-anchors.ts';

type Sides = readonly [number, number];
const shapesOf = (boxes: readonly Sides[], size: number): readonly (readonly Sides[])[] =>
  fitAnchors(boxes, size).levels.map((level) => ('shapes' in level ? level.shapes : []));

/** Boxes around a shape, up to a tenth smaller or larger. */
function around(sides: Sides, count: number, seed: number): Sides[] {
  const random = createRandom(seed);
  const about = (side: number): number => side * (0.9 + 0.2 * random.uniform());
  return Array.from({ length: count }, () => [about(sides[0]), about(sides[1])]);
}

test('each kind of object gets a shape on the map whose stride suits it, however rare it is', () => {
  const boxes = [...around([20, 24], 20, 1), ...around([60, 30], 400, 2), ...around([200, 220], 40, 3)];
  const levels = shapesOf(boxes, 320);
  assert.deepEqual(
    levels.map((shapes) => shapes.length),
    [2, 1, 1],
  );
  const near = ([w, h]: Sides, [width, height]: Sides) =>
    Math.abs(w / width - 1) < 0.05 && Math.abs(h / height - 1) < 0.05;
  assert.ok(near(levels[0]?.[0] ?? [0, 0], [20, 24]), String(levels));
  assert.ok(near(levels[0]?.[1] ?? [0, 0], [60, 30]), String(levels));
  // Nothing belongs to stride 32: a square of two and a half strides stands in.
  assert.deepEqual(levels[1], [[80, 80]]);
  assert.ok(near(levels[2]?.[0] ?? [0, 0], [200, 220]), String(levels));
});

test('the order of boxes does not matter; those under a pixel do not count; none at all have an answer', () => {
  const boxes = [...around([30, 30], 50, 4), ...around([90, 50], 50, 5)];
  assert.deepEqual(shapesOf([...boxes].reverse(), 256), shapesOf(boxes, 256));
  assert.deepEqual(shapesOf([...boxes, [0.2, 50], [0, 0]], 256), shapesOf(boxes, 256));
  assert.deepEqual(
    shapesOf([], 256),
    [[], []].map((_, i) => (i === 0 ? [[64, 64]] : [[80, 80]])),
  );
});

test('no two shapes are alike', () => {
  const random = createRandom(6);
  const boxes = Array.from(
    { length: 500 },
    (): Sides => [10 + 200 * random.uniform(), 10 + 200 * random.uniform()],
  );
  const shapes = shapesOf(boxes, 320).flat();
  assert.ok(shapes.length >= 4 && shapes.length <= 12);
  for (const [i, [w, h]] of shapes.entries())
    for (const [width, height] of shapes.slice(i + 1)) {
      const common = Math.min(w, width) * Math.min(h, height);
      const iou = common / (w * h + width * height - common);
      assert.ok(iou <= 0.66 || width === height, `${w}×${h} and ${width}×${height}: ${iou}`);
    }
});
