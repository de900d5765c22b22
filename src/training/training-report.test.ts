import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tinyConfig } from '../../test/support/tiny-run.ts';
import { openImageFolder } from '../data/image-folder.ts';
import { proceduralFiles } from '../data/procedural-files.ts';
import { decodePng } from '../image/png.ts';
import { reportFiles } from '../report/write-report.ts';
import { augmentedSheet, openMistakes, trainingReport } from './training-report.ts';

const row = {
  epoch: 1,
  step: 2,
  size: 32,
  strength: 0,
  rate: 0.05,
  decay: 1e-4,
  trainLoss: 0.71,
  trainTop1: 0.5,
  loss: 0.6,
  top1: 0.8,
  top5: 1,
  seconds: 2,
  imagesPerSecond: 10,
  waitShare: 0.25,
};

test('a run under way: headline, best epoch, speed over all epochs, costs of both forms', () => {
  const second = {
    ...row,
    epoch: 2,
    top1: 0.6,
    trainLoss: 0.5,
    seconds: 1,
    imagesPerSecond: 40,
    waitShare: 0.1,
  };
  const { title, status, headline, bestEpoch, speed, model, evaluation } = trainingReport({
    config: tinyConfig(),
    progress: { history: [row, second], bestEpoch: 1 },
    milliseconds: { deploy: 0.25 },
  });
  assert.deepEqual(
    [title, status, bestEpoch, evaluation],
    ['tiny on synthetic', 'epoch 2 of 6', 1, undefined],
  );
  assert.deepEqual(headline?.[0], ['validation top-1', '80.0%']);
  assert.deepEqual(headline?.[2], ['training loss', '0.500']);
  assert.deepEqual(
    speed?.map(([, value]) => value),
    ['3.0 s', '20.0', '20.0%'],
  );
  const [train, deploy] = model?.forms ?? [];
  assert.ok((train?.parameters ?? 0) > (deploy?.parameters ?? 0));
  assert.deepEqual([train?.milliseconds, deploy?.milliseconds], [undefined, 0.25]);
});

test('a run that has not begun is a report too', async () => {
  const report = trainingReport({ config: tinyConfig(), progress: { history: [], bestEpoch: 0 } });
  assert.deepEqual([report.status, report.headline, report.bestEpoch], ['epoch 0 of 6', [], undefined]);
  assert.doesNotMatch((await reportFiles(report)).get('report.html') ?? '', /NaN|undefined/);
});

test('an augmented batch: pixels back, mixed targets named with their shares', () => {
  const { title, pictures } = augmentedSheet(
    {
      images: { shape: [3, 1, 1, 3], data: Float32Array.of(0, 0, 0, 1, 1, 1, 0.2, 0.4, 0.6) },
      targets: { shape: [3, 2], data: Float32Array.of(1, 0, 0, 1, 0.3, 0.7) },
    },
    tinyConfig(),
  );
  assert.equal(title, 'Augmented batch');
  assert.deepEqual(
    pictures.map(({ caption }) => caption),
    [['dark'], ['bright'], ['bright 70%', 'dark 30%']],
  );
  assert.deepEqual(
    pictures.map(({ image }) => [...image.data]),
    [
      [0, 0, 0],
      [255, 255, 255],
      [51, 102, 153],
    ],
  );
});

test('pictures of mistakes are read by their place in the data set', async () => {
  const { train } = await openImageFolder(
    proceduralFiles({ train: 8, val: 8, seed: 1, width: 16, height: 16 }),
  );
  const mistake = { truth: 1, predicted: 2, probability: 0.9, truthProbability: 0.1 };
  const opened = await openMistakes(
    [
      { index: 3, ...mistake },
      { index: 99, ...mistake },
    ],
    train,
    { name: 'png', formats: ['png'], decode: decodePng },
  );
  assert.deepEqual(
    opened.map(({ name, image }) => [name, image.width]),
    [[train.samples[3]?.path, 16]],
  );
});
