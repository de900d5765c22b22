import assert from 'node:assert/strict';
import { test } from 'node:test';
import { namedRecipe } from '../../training/recipe/recipes.ts';
import type { StepReport } from '../../training/run/epoch.ts';
import { duration, secondsLeft, trainingProgress } from './progress.ts';

const recipe = {
  ...namedRecipe('small', 's0'),
  epochs: 4,
  batch: 10,
  phases: [
    { epoch: 0, size: 64, strength: 0 },
    { epoch: 2, size: 128, strength: 1 },
  ],
};
const report: StepReport = {
  epoch: 1,
  epochs: 4,
  step: 30,
  stepsPerEpoch: 50,
  size: 64,
  loss: 2,
  meanLoss: 2.5,
  top1: 0.25,
  imagesPerSecond: 100,
  waitShare: 0.02,
  rate: 0.1,
  decay: 1e-4,
  average: 0.1,
};

test('time left: larger pictures take longer in proportion to their area', () => {
  // 20 steps of this epoch, 50 of the next, twice 50 of four times the area: 470 steps of 10 pictures.
  assert.equal(secondsLeft(report, recipe), 47);
  assert.deepEqual([0.4, 59.6, 3599, 4360].map(duration), ['0:00', '1:00', '59:59', '1:12:40']);
});

test('without a terminal: one line an epoch', () => {
  const lines: string[] = [];
  const terminal = {
    width: 80,
    fancy: false,
    drawsProgress: false,
    progressWidth: 80,
    print: (...more: readonly string[]) => void lines.push(...more),
    note: (...more: readonly string[]) => void lines.push(...more),
    bold: (text: string) => text,
    dim: (text: string) => text,
  };
  const progress = trainingProgress(recipe, terminal, (line) => lines.push(line));
  progress.step(report);
  const row = { epoch: 1, step: 50, size: 64, strength: 0, rate: 0.1, decay: 1e-4 };
  const speed = { seconds: 5, imagesPerSecond: 100, waitShare: 0.021 };
  progress.epoch(
    { ...row, ...speed, trainLoss: 2.5, trainTop1: 0.25, loss: 2.25, top1: 0.3, top5: 0.9 },
    true,
  );
  progress.end();
  assert.deepEqual(lines, [
    'epoch 1/4  64 px  train loss 2.500 top-1 25.00%  val loss 2.250 top-1 30.00% top-5 90.00%  rate 0.100  100.0 img/s, waiting 2.1%  best',
  ]);
});

test('in a narrow terminal an epoch takes several lines; notes end the bar', () => {
  const lines: string[] = [];
  const terminal = {
    ...{ width: 40, fancy: true, drawsProgress: false, progressWidth: 40 },
    print: (...more: readonly string[]) => void lines.push(...more),
    note: (...more: readonly string[]) => void lines.push(...more),
    bold: (text: string) => text,
    dim: (text: string) => text,
  };
  const progress = trainingProgress(recipe, terminal, (line) => lines.push(...line.split('\n')));
  const row = { epoch: 1, step: 50, size: 64, strength: 0, rate: 0.1, decay: 1e-4, seconds: 5 };
  progress.epoch(
    { ...row, imagesPerSecond: 100, waitShare: 0.021, trainLoss: 2.5, trainTop1: 0.25, loss: null },
    true,
  );
  progress.note('aside');
  assert.deepEqual(lines, [
    'epoch 1/4  64 px',
    '    train loss 2.500 top-1 25.00%',
    '    rate 0.100',
    '    100.0 img/s, waiting 2.1%  best',
    'aside',
  ]);
});
