import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createRandom } from '../tensor/random.ts';
import { type AnchorStyle, anchorBoxes, anchorStyles, type Corners } from './anchors.ts';
import { assignAnchors, BACKGROUND, IGNORED, ssdAssignRule } from './assign.ts';
import { type BoxCoder, boxCoders, decodeBoxes, encodeBox } from './box-coder.ts';
import { detectionRules, overlap, softSuppress, suppress } from './nms.ts';
import { selectDetections } from './select.ts';

const boxesOf = (...boxes: readonly (readonly number[])[]): Corners => Float32Array.from(boxes.flat());
const near = (found: ArrayLike<number>, wanted: readonly number[], tolerance: number): void => {
  assert.equal(found.length, wanted.length);
  wanted.forEach((value, i) => {
    assert.ok(
      Math.abs((found[i] ?? Number.NaN) - value) <= tolerance * Math.max(1, Math.abs(value)),
      `${i}: ${found[i]}, expected ${value}`,
    );
  });
};

describe('anchors', () => {
  const maps = [20, 10, 5, 3, 2, 1].map((n) => [n, n] as const);

  test("torchvision's published boxes of one place", () => {
    const style: AnchorStyle = {
      levels: [{ sizes: [0.15 * 15, Math.sqrt(0.15 * 0.9) * 15], ratios: [2] }],
      clip: 'sides',
    };
    const wanted = [
      [6.375, 6.375, 8.625, 8.625],
      [4.7443, 4.7443, 10.2557, 10.2557],
      [5.909, 6.7045, 9.091, 8.2955],
      [6.7045, 5.909, 8.2955, 9.091],
    ];
    near(anchorBoxes(style, [[1, 1]], [15, 15]), wanted.flat(), 1e-5);
  });

  test("mmdetection's published base boxes, about the first centre", () => {
    const boxes = anchorBoxes(anchorStyles.mmdetection(320), maps, [320, 320]);
    const first = [
      [-16, -16, 32, 32],
      [-26.641, -26.641, 42.641, 42.641],
      [-25.9411, -8.9706, 41.9411, 24.9706],
      [-8.9706, -25.9411, 24.9706, 41.9411],
      [-33.5692, -5.8564, 49.5692, 21.8564],
      [-5.8564, -33.5692, 21.8564, 49.5692],
    ];
    near(boxes.subarray(0, 24), first.flat(), 1e-4);
    const last = [8, 8, 312, 312, 4.0513, 4.0513, 315.9487, 315.9487, -54.9605, 52.5198, 374.9604, 267.4802];
    near(boxes.subarray(-24, -12), last, 1e-4);
  });

  test('as many as the three projects have at 320 pixels, inside the picture where they are cut', () => {
    const counts = Object.entries(anchorStyles).map(([name, style]) => {
      const boxes = anchorBoxes(style(320), maps, [320, 320]);
      return [name, boxes.length / 4];
    });
    assert.deepEqual(Object.fromEntries(counts), { torchvision: 3234, mmdetection: 3234, cvnets: 3232 });
    const sides = anchorStyles
      .torchvision(320)
      .levels.map((level) => ('sizes' in level ? level.sizes : [0, 0]));
    near(
      sides.flat(),
      [64, 84.664, 112, 133.866, 160, 182.428, 208, 230.755, 256, 278.969, 304, 311.897],
      1e-5,
    );
  });
});

describe('offsets', () => {
  test("mmdetection's published decoding", () => {
    const coder: BoxCoder = { ...boxCoders.mmdetection, deviations: [1, 1, 1, 1] };
    const anchors = boxesOf([0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [5, 5, 5, 5]);
    const offsets = boxesOf([0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 2, -1], [0.7, -1.9, -0.5, 0.3]);
    const boxes = new Float32Array(16);
    decodeBoxes(coder, anchors, offsets, boxes, [32, 32]);
    const wanted = [
      [0, 0, 1, 1],
      [0.1409, 0.1409, 2.8591, 2.8591],
      [0, 0.3161, 4.1945, 0.6839],
      [5, 5, 5, 5],
    ];
    near(boxes, wanted.flat(), 1e-4);
  });

  test('decoding undoes encoding', () => {
    const random = createRandom(3);
    const draw = (): number[] => {
      const [x, y] = [random.uniform() * 300, random.uniform() * 300];
      return [x, y, x + 5 + random.uniform() * 50, y + 5 + random.uniform() * 50];
    };
    const anchors = boxesOf(...Array.from({ length: 50 }, draw));
    const boxes = boxesOf(...Array.from({ length: 50 }, draw));
    const [offsets, back] = [new Float32Array(200), new Float32Array(200)];
    for (let i = 0; i < 50; i++) encodeBox(boxCoders.torchvision, anchors, i, boxes, i, offsets, 4 * i);
    decodeBoxes(boxCoders.torchvision, anchors, offsets, back);
    near(back, [...boxes], 1e-5);
  });
});

describe('assignment', () => {
  const anchors = boxesOf([0, 0, 10, 10], [10, 10, 20, 20], [5, 5, 15, 15], [32, 32, 38, 42]);
  const objects = boxesOf([0, 0, 10, 9], [0, 10, 10, 19]);

  test("mmdetection's published vectors", () => {
    assert.deepEqual([...assignAnchors(anchors, objects, ssdAssignRule)], [0, -1, 1, -1]);
    assert.deepEqual([...assignAnchors(anchors, new Float32Array(0), ssdAssignRule)], [-1, -1, -1, -1]);
    const moved = boxesOf([0, 0, 10, 10], [10, 10, 20, 20], [5, 5, 15, 15], [30, 32, 40, 42]);
    const found = assignAnchors(moved, objects, ssdAssignRule, boxesOf([30, 30, 40, 40]));
    assert.deepEqual([...found], [0, BACKGROUND, 1, IGNORED]);
  });

  test('an object takes its best anchor below the threshold, from another object if it comes later', () => {
    const found = assignAnchors(
      boxesOf([0, 0, 10, 10], [50, 50, 60, 60]),
      boxesOf([0, 0, 10, 10], [6, 6, 16, 16]),
      ssdAssignRule,
    );
    assert.deepEqual([...found], [1, BACKGROUND]);
  });
});

describe('suppression', () => {
  test("mmcv's published vectors", () => {
    const boxes = boxesOf([6, 3, 8, 7], [3, 6, 9, 11], [3, 7, 10, 12], [1, 4, 13, 7]);
    const scores = [0.6, 0.9, 0.7, 0.2];
    assert.deepEqual(suppress(boxes, [1, 2, 0, 3], 0.3), [1, 0, 3]);
    const soft = (method: 'linear' | 'gaussian') =>
      softSuppress(boxes, scores, { method, iou: 0.3, sigma: 0.5, leastScore: 0 });
    near(
      soft('gaussian').map(({ score }) => score),
      [0.9, 0.59630775, 0.3527551, 0.18650459],
      1e-6,
    );
    near([soft('linear')[2]?.score ?? 0], [0.29024392], 1e-6);
  });

  test("torchvision's published overlaps", () => {
    const boxes = boxesOf(
      [285.3538, 185.5758, 1193.511, 851.4551],
      [285.1472, 188.7374, 1192.4984, 851.0669],
      [279.244, 197.9812, 1189.4746, 849.2019],
    );
    near([overlap(boxes, 0, 1), overlap(boxes, 0, 2), overlap(boxes, 1, 2)], [0.9933, 0.9673, 0.9737], 1e-4);
    assert.deepEqual(suppress(boxes, [1, 0, 2], 0.2), [1]);
    const whole = boxesOf([0, 0, 100, 100], [0, 0, 50, 50], [200, 200, 300, 300]);
    assert.deepEqual([overlap(whole, 0, 1), overlap(whole, 0, 2)], [0.25, 0]);
  });

  test('classes do not suppress each other, and background is no detection', () => {
    const boxes = boxesOf([0, 0, 10, 10], [1, 0, 11, 10], [0, 1, 10, 11]);
    const probabilities = Float32Array.from([0.1, 0.6, 0.3, 0.2, 0.7, 0.1, 0.9, 0.0005, 0.4]);
    const found = selectDetections(boxes, probabilities, 3, 0, detectionRules.torchvision);
    assert.deepEqual(
      found.map(({ anchor, label }) => [anchor, label]),
      [
        [1, 1],
        [2, 2],
      ],
    );
  });
});

test('objects have as many anchors as asked for, first choices before second ones', () => {
  const anchors = Float32Array.from([0, 20, 40].flatMap((x) => [x, 0, x + 30, 30]));
  const objects = Float32Array.from([12, 0, 42, 30, 36, 0, 66, 30]);
  const assigned = (forced: number, leastForced = 0) => [
    ...assignAnchors(anchors, objects, { iou: 0.9, forced, leastForced, ignoreShare: 0.5 }),
  ];
  assert.deepEqual(assigned(0), [BACKGROUND, BACKGROUND, BACKGROUND]);
  assert.deepEqual(assigned(1), [BACKGROUND, 0, 1]);
  // The first object's second choice is the anchor on the left, the second's the first choice of the first.
  assert.deepEqual(assigned(2), [0, 0, 1]);
  assert.deepEqual(assigned(3), [0, 0, 1]);
  assert.deepEqual(assigned(3, 0.5), [BACKGROUND, 0, 1]);
});
