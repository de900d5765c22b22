import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ShapeError } from '../errors.ts';
import { createRandom } from '../tensor/random.ts';
import { calibrationMeter } from './calibration.ts';
import { classificationMeter } from './classification.ts';
import { classMetrics, confusedPairs, macroMetrics } from './confusion.ts';
import { keepMost } from './keep-most.ts';

const close = (found: number | null, expected: number): void => {
  assert.ok(found !== null && Math.abs(found - expected) < 1e-12, `${found}, expected ${expected}`);
};

describe('classification metrics', () => {
  test('six answers by hand, one class absent and one never named', () => {
    // Classes: 0 has three examples, 1 two, 2 one that is never found, 3 none but named once.
    const meter = classificationMeter(4);
    const outcomes = [
      meter.add([0.7, 0.1, 0.1, 0.1], 0),
      meter.add([0.5, 0.3, 0.1, 0.1], 0),
      meter.add([0.2, 0.6, 0.1, 0.1], 0),
      meter.add([0.1, 0.8, 0.05, 0.05], 1),
      meter.add([0.3, 0.2, 0.1, 0.4], 1),
      meter.add([0.25, 0.4, 0.25, 0.1], 2),
    ];
    assert.deepEqual(
      outcomes.map(({ predicted, rank }) => [predicted, rank]),
      [
        [0, 0],
        [0, 0],
        [1, 1],
        [1, 0],
        [3, 2],
        [1, 2],
      ],
    );
    const found = meter.result();
    assert.deepEqual(found.confusion, [
      [2, 1, 0, 0],
      [0, 1, 0, 1],
      [0, 1, 0, 0],
      [0, 0, 0, 0],
    ]);
    assert.deepEqual([found.count, found.invalid, found.top1, found.top5], [6, 0, 0.5, 1]);
    assert.deepEqual(found.classes, [
      { label: 0, support: 3, predicted: 2, precision: 1, recall: 2 / 3, f1: 4 / 5 },
      { label: 1, support: 2, predicted: 3, precision: 1 / 3, recall: 1 / 2, f1: 2 / 5 },
      { label: 2, support: 1, predicted: 0, precision: null, recall: 0, f1: 0 },
      { label: 3, support: 0, predicted: 1, precision: 0, recall: null, f1: 0 },
    ]);
    // Over the three classes that have examples.
    close(found.macro.precision, (1 + 1 / 3 + 0) / 3);
    close(found.macro.recall, (2 / 3 + 1 / 2) / 3);
    close(found.macro.f1, (4 / 5 + 2 / 5) / 3);
    close(found.loss, -Math.log(0.7 * 0.5 * 0.2 * 0.8 * 0.2 * 0.25) / 6);
    assert.deepEqual(JSON.parse(JSON.stringify(found)), found, 'plain data');
  });

  test('top five of seven; equal probabilities rank by label', () => {
    const meter = classificationMeter(7);
    const falling = [0.3, 0.2, 0.15, 0.12, 0.1, 0.08, 0.05];
    for (let label = 0; label < 7; label++) assert.equal(meter.add(falling, label).rank, label);
    const { top1, top5 } = meter.result();
    close(top1, 1 / 7);
    close(top5, 5 / 7);
    const even = classificationMeter(7);
    const ranks = [0, 3, 6].map((label) => even.add(new Float32Array(7).fill(1 / 7), label).rank);
    assert.deepEqual(ranks, [0, 3, 6]);
  });

  test('no examples: nothing is claimed', () => {
    const { count, top1, top5, loss, macro, calibration, classes } = classificationMeter(2).result();
    assert.deepEqual([count, top1, top5, loss, calibration.error], [0, null, null, null, null]);
    assert.deepEqual(macro, { precision: null, recall: null, f1: null });
    assert.deepEqual(classes[0], {
      label: 0,
      support: 0,
      predicted: 0,
      precision: null,
      recall: null,
      f1: null,
    });
  });

  test('probabilities that are no numbers are wrong answers, and said', () => {
    const meter = classificationMeter(2);
    meter.add([0.9, 0.1], 0);
    assert.equal(meter.add([Number.NaN, Number.NaN], 0).predicted, -1);
    const { count, invalid, top1, loss, classes, confusion } = meter.result();
    assert.deepEqual([count, invalid, top1, loss], [2, 1, 0.5, null]);
    assert.deepEqual(confusion, [
      [1, 0],
      [0, 0],
    ]);
    assert.equal(classes[0]?.recall, 0.5);
  });

  test('a batch counts as its examples do, whatever the batches', () => {
    const random = createRandom(4);
    const rows = Array.from({ length: 30 }, () => Float32Array.from({ length: 3 }, random.uniform));
    const labels = rows.map(() => random.integer(3));
    const single = classificationMeter(3);
    for (const [i, row] of rows.entries()) single.add(row, labels[i] ?? 0);
    const batched = classificationMeter(3);
    for (const [from, to] of [
      [0, 7],
      [7, 30],
    ] as const)
      batched.addBatch(
        Float32Array.from(rows.slice(from, to).flatMap((row) => [...row])),
        labels.slice(from, to),
      );
    assert.deepEqual(batched.result(), single.result());
  });

  test('wrong shapes and labels are refused', () => {
    const meter = classificationMeter(3);
    assert.throws(() => meter.add([0.5, 0.5], 0), ShapeError);
    assert.throws(() => meter.add([0.2, 0.3, 0.5], 3), ShapeError);
    assert.throws(() => meter.add([0.2, 0.3, 0.5], -1), ShapeError);
    assert.throws(() => meter.addBatch(new Float32Array(5), [0, 1]), ShapeError);
    assert.throws(() => classificationMeter(0), ShapeError);
    assert.equal(meter.result().count, 0);
  });
});

test('calibration: two bins by hand, 1 belongs to the last', () => {
  const meter = calibrationMeter(2);
  for (const [probability, right] of [
    [0.4, true],
    [0.2, false],
    [1, true],
    [0.8, false],
    [0.9, true],
  ] as const)
    meter.add(probability, right);
  const { error, bins } = meter.result();
  assert.deepEqual(
    bins.map(({ count, accuracy }) => [count, accuracy]),
    [
      [2, 1 / 2],
      [3, 2 / 3],
    ],
  );
  close(bins[0]?.confidence ?? null, 0.3);
  close(bins[1]?.confidence ?? null, 0.9);
  close(error, (2 / 5) * (0.5 - 0.3) + (3 / 5) * (0.9 - 2 / 3));
});

test('a perfect classifier, and macro means of one class alone', () => {
  const classes = classMetrics([
    [4, 0],
    [0, 0],
  ]);
  assert.deepEqual(macroMetrics(classes), { precision: 1, recall: 1, f1: 1 });
});

test('confused pairs: most frequent first, then by share', () => {
  const pairs = confusedPairs(
    [
      [5, 2, 3],
      [2, 0, 0],
      [0, 0, 9],
    ],
    2,
  );
  assert.deepEqual(pairs, [
    { truth: 0, predicted: 2, count: 3, share: 0.3 },
    { truth: 1, predicted: 0, count: 2, share: 1 },
  ]);
});

test('the heaviest are kept, in order', () => {
  const keeper = keepMost<string>(3);
  for (const [weight, item] of [
    [1, 'a'],
    [5, 'b'],
    [3, 'c'],
    [5, 'd'],
    [2, 'e'],
  ] as const)
    keeper.offer(weight, item);
  assert.deepEqual(keeper.items(), ['b', 'd', 'c']);
  assert.deepEqual([keeper.wants(3), keeper.wants(3.1)], [false, true]);
  assert.equal(keepMost(0).wants(9), false);
});
