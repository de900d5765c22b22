import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ShapeError } from '../errors.ts';
import { createRandom, type Random } from '../tensor/random.ts';
import type { Corners } from './anchors.ts';
import { type DetectionRule, detectionRules, suppress } from './nms.ts';
import { type ClassBox, detectionSelector, selectDetections } from './select.ts';

/** As the rule reads: each class for itself, then all of them by score. */
function plain(
  boxes: Corners,
  probabilities: Float32Array,
  classes: number,
  background: number,
  { leastScore, perClass, iou, most }: DetectionRule,
): ClassBox[] {
  const anchors = Array.from({ length: probabilities.length / classes }, (_, anchor) => anchor);
  const found = Array.from({ length: classes }, (_, label) => {
    if (label === background) return [];
    const score = (anchor: number): number => probabilities[anchor * classes + label] ?? 0;
    const order = anchors.filter((anchor) => score(anchor) > leastScore);
    order.sort((a, b) => score(b) - score(a) || a - b);
    const kept = suppress(boxes, order.slice(0, perClass), iou);
    return kept.map((anchor) => ({ anchor, label, score: score(anchor) }));
  });
  return found
    .flat()
    .sort((a, b) => b.score - a.score)
    .slice(0, most);
}

/** Crowded enough that most overlap something; some have no area. */
function drawBoxes(random: Random, count: number): Corners {
  const sides = (): number => (random.integer(20) === 0 ? 0 : 5 + 40 * random.uniform());
  return Float32Array.from(
    Array.from({ length: count }, () => {
      const [x, y] = [random.uniform() * 100, random.uniform() * 100];
      return [x, y, x + sides(), y + sides()];
    }).flat(),
  );
}

function softmax(logits: Float32Array, classes: number): Float32Array {
  const probabilities = Float32Array.from(logits);
  for (let start = 0; start < logits.length; start += classes) {
    const row = logits.subarray(start, start + classes);
    const most = Math.max(...row);
    let sum = 0;
    for (const value of row) sum += Math.exp(value - most);
    row.forEach((value, i) => {
      probabilities[start + i] = Math.fround(Math.exp(value - most)) / sum;
    });
  }
  return probabilities;
}

const rules: readonly DetectionRule[] = [
  ...Object.values(detectionRules),
  { leastScore: 0, perClass: 1e9, iou: 0.3, most: Number.POSITIVE_INFINITY },
  { leastScore: 0.05, perClass: 7, iou: 0.5, most: 20 },
  // Nearly everything is suppressed: many candidates are taken for few detections.
  { leastScore: 0.001, perClass: 1e9, iou: 0.001, most: 60 },
];

test('the surest of all that their classes keep, of equal and unequal scores', () => {
  let [some, all] = [0, 0];
  for (let seed = 0; seed < 24; seed++) {
    const random = createRandom(seed);
    const [anchors, classes] = [50 + random.integer(1200), 2 + random.integer(12)];
    const background = random.integer(2) * (classes - 1);
    const boxes = drawBoxes(random, anchors);
    const steps = seed % 3 === 0 ? 9 : 1e9;
    const probabilities = Float32Array.from(
      { length: anchors * classes },
      () => random.integer(steps) / steps,
    );
    for (const rule of rules) {
      const wanted = plain(boxes, probabilities, classes, background, rule);
      assert.deepEqual(selectDetections(boxes, probabilities, classes, background, rule), wanted);
      if (wanted.length === rule.most) all++;
      else some++;
    }
  }
  assert.ok(some > 20 && all > 20, `${some} unlimited, ${all} limited`);
});

/** Deviations of logits, and what the background has over the others. */
const kinds = [
  [0.5, 0],
  [3, 4],
  [20, 40],
] as const;

test('from logits: the same as from their softmax, picture after picture with the same memory', () => {
  const [anchors, classes] = [700, 9];
  for (const background of [0, classes - 1]) {
    const selector = detectionSelector(anchors, classes, background);
    let found = 0;
    for (let seed = 0; seed < 12; seed++) {
      const random = createRandom(seed);
      const boxes = drawBoxes(random, anchors);
      const [spread, lead] = kinds[seed % kinds.length] ?? [1, 0];
      const logits = Float32Array.from(
        { length: anchors * classes },
        (_, i) => spread * random.normal() + (i % classes === background ? lead : 0),
      );
      for (const rule of rules) {
        const wanted = plain(boxes, softmax(logits, classes), classes, background, rule);
        assert.deepEqual(selector.ofLogits(boxes, logits, rule), wanted);
        found += wanted.length;
      }
    }
    assert.ok(found > 2000, `${found} detections`);
  }
});

test('nothing to find, and more than a number can tell apart', () => {
  const selector = detectionSelector(2, 3, 0);
  const boxes = Float32Array.from([0, 0, 1, 1, 0, 0, 1, 1]);
  const logits = Float32Array.from([9, 0, 0, 9, 0, 0]);
  assert.deepEqual(selector.ofLogits(boxes, logits, detectionRules.mmdetection), []);
  const broken = logits.map(() => Number.NaN);
  assert.deepEqual(selector.ofLogits(boxes, broken, detectionRules.mmdetection), []);
  assert.throws(() => detectionSelector(2 ** 20, 9, 0), ShapeError);
});
