import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  averageMomentum,
  layerScales,
  type Moment,
  noWarmUp,
  phaseAt,
  type Schedule,
  scheduled,
} from './schedules.ts';

const near = (found: number, expected: number): void =>
  assert.ok(
    Math.abs(found - expected) <= 1e-12 * Math.max(1, Math.abs(expected)),
    `${found} instead of ${expected}`,
  );
const at = (step: number, stepsPerEpoch: number, epochs: number): Moment => ({ step, stepsPerEpoch, epochs });

/** mmpretrain's imagenet_bs256_coslr_coswd_300e.py with 5004 iterations an epoch. */
const mmRate: Schedule = {
  base: 0.1,
  decline: { kind: 'cosine', final: 1e-6 },
  every: 'epoch',
  warmUp: { unit: 'epochs', length: 5, start: 0.001 },
};
const mmDecay: Schedule = {
  base: 1e-4,
  decline: { kind: 'cosine', final: 1e-5 },
  every: 'epoch',
  warmUp: noWarmUp,
};

test("mmpretrain's learning rate: linear by iteration for 5 epochs, then cosine by epoch over 295", () => {
  const rate = (epoch: number, iteration = 0) => scheduled(mmRate, at(epoch * 5004 + iteration, 5004, 300));
  near(rate(0), 0.1 * 0.001);
  // mmengine's LinearLR divides by end − begin − 1 = 25019.
  near(rate(0, 1), 0.1 * (0.001 + 0.999 / 25019));
  near(rate(2, 2502), 0.1 * (0.001 + (0.999 * 12510) / 25019));
  near(rate(4, 5003), 0.1);
  near(rate(5), 0.1);
  near(rate(5, 5003), 0.1);
  near(rate(6), 1e-6 + ((0.1 - 1e-6) * (1 + Math.cos(Math.PI / 295))) / 2);
  assert.equal(rate(6).toFixed(9), '0.099997165');
  near(rate(299), 1e-6 + ((0.1 - 1e-6) * (1 + Math.cos((Math.PI * 294) / 295))) / 2);
});

test("mmengine's recursive cosine gives the same trace", () => {
  let group = 0.1;
  for (let last = 1; last < 295; last++) {
    group =
      ((1 + Math.cos((Math.PI * last) / 295)) / (1 + Math.cos((Math.PI * (last - 1)) / 295))) *
        (group - 1e-6) +
      1e-6;
    const found = scheduled(mmRate, at((5 + last) * 7, 7, 300));
    assert.ok(Math.abs(found - group) < 1e-12 + 1e-9 * group, `epoch ${5 + last}`);
  }
});

test('weight decay is annealed on the cosine of the whole run', () => {
  near(scheduled(mmDecay, at(0, 10, 300)), 1e-4);
  near(scheduled(mmDecay, at(9, 10, 300)), 1e-4);
  near(scheduled(mmDecay, at(1500, 10, 300)), 5.5e-5);
  near(scheduled(mmDecay, at(1000, 10, 300)), 1e-5 + 9e-5 * 0.75);
  near(scheduled(mmDecay, at(2990, 10, 300)), 1e-5 + (9e-5 * (1 + Math.cos((Math.PI * 299) / 300))) / 2);
});

test('step, poly and constant; a warm-up of steps; changes with every step', () => {
  const step: Schedule = {
    base: 0.4,
    decline: { kind: 'step', epochs: [2, 3], factor: 0.1 },
    every: 'epoch',
    warmUp: noWarmUp,
  };
  [0.4, 0.4, 0.04, 0.004].forEach((value, epoch) => {
    near(scheduled(step, at(epoch * 5 + 4, 5, 4)), value);
  });
  const poly: Schedule = {
    base: 1,
    decline: { kind: 'poly', final: 0, power: 2 },
    every: 'step',
    warmUp: { unit: 'steps', length: 2, start: 0.5 },
  };
  // 2 warm-up steps of 10: 0.5, 1; then (1 − t)² with t = 0, 1/8, 2/8, …
  const trace = Array.from({ length: 10 }, (_, i) => scheduled(poly, at(i, 5, 2)));
  [0.5, 1, 1, 0.765625, 0.5625, 0.390625, 0.25, 0.140625, 0.0625, 0.015625].forEach((value, i) => {
    near(trace[i] ?? Number.NaN, value);
  });
  const constant: Schedule = { ...step, decline: { kind: 'constant' } };
  near(scheduled(constant, at(19, 5, 4)), 0.4);
  near(scheduled({ ...constant, warmUp: { unit: 'steps', length: 1, start: 0 } }, at(0, 5, 4)), 0.4);
});

test("progressive learning: mmpretrain's epochs 1–36, from 37, from 112", () => {
  const phases = [
    { epoch: 0, size: 160, strength: 0.3 },
    { epoch: 36, size: 192, strength: 0.7 },
    { epoch: 111, size: 224, strength: 1 },
  ];
  const sizes = [0, 35, 36, 110, 111, 299].map((epoch) => phaseAt(phases, epoch).size);
  assert.deepEqual(sizes, [160, 160, 192, 192, 224, 224]);
  assert.equal(phaseAt(phases, 40).strength, 0.7);
});

test('the average copies at first, warms up, then keeps its momentum', () => {
  assert.equal(averageMomentum({ momentum: 5e-4, warmUp: false }, 0), 1);
  assert.equal(averageMomentum({ momentum: 5e-4, warmUp: false }, 1), 5e-4);
  const young = { momentum: 0.01, warmUp: true };
  near(averageMomentum(young, 8), 0.5);
  near(averageMomentum(young, 80), 0.1);
  near(averageMomentum(young, 890), 0.01);
  assert.equal(averageMomentum(young, 5000), 0.01);
  // By hand: weights 4, 2, 8 with momentum 1/4 average to 4, 3.5, 4.625.
  let average = 0;
  const trace = [4, 2, 8].map((weight, t) => {
    average += averageMomentum({ momentum: 0.25, warmUp: false }, t) * (weight - average);
    return average;
  });
  assert.deepEqual(trace, [4, 3.5, 4.625]);
});

test('layers: the last at the full rate, each before it slower', () => {
  assert.deepEqual(
    [...layerScales(['stem', 'stages.0.0', 'head'], 0.5)],
    [
      ['stem', 0.25],
      ['stages.0.0', 0.5],
      ['head', 1],
    ],
  );
});
