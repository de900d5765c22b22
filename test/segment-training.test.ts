import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import { UsageError } from '../src/errors.ts';
import { memorySource } from '../src/format/byte-source.ts';
import { reportFiles } from '../src/report/write-report.ts';
import { readHeadNet } from '../src/task/head-checkpoint.ts';
import { createSegmenter } from '../src/task/segment.ts';
import { prepareSegmentRun } from '../src/training/recipe/prepare-head-run.ts';
import { checkRunConfig } from '../src/training/recipe/run-config.ts';
import { learn } from '../src/training/run/learn.ts';
import { readRunCheckpoint } from '../src/training/run/run-checkpoint.ts';
import type { MetricsRow } from '../src/training/run/run-progress.ts';
import { runReport } from '../src/training/run/run-report.ts';
import { memoryRunStore, type RunStore } from '../src/training/run/run-store.ts';
import { readRun } from '../src/training/run/train.ts';
import { classifyTask } from '../src/training/task/classify-task.ts';
import type { LearningTask } from '../src/training/task/learning-task.ts';
import { engine, pool } from './support/cpu.ts';
import { tinyData } from './support/tiny-run.ts';
import { tinySegment } from './support/tiny-segment.ts';

after(() => pool.dispose());

test('circles are found: a net, its checkpoints, its report and its file', async () => {
  const made = await tinySegment({
    ...{ train: 64, val: 12, size: 32, epochs: 30, batch: 8, channels: 16 },
    widths: [0.25, 0.125, 0.125, 0.0625],
  });
  const { config, task } = made;
  assert.deepEqual(checkRunConfig(JSON.parse(JSON.stringify(config)), 'config'), config);
  const store = memoryRunStore();
  const { progress, weights } = await learn(task, { engine, weights: made.weights, store });
  const { history } = progress;
  const [first, last] = [history[0], history.at(-1)];
  assert.ok((last?.trainLoss ?? 9) < 0.6 * (first?.trainLoss ?? 0), JSON.stringify(history));
  // Ground alone would be 0.4.
  assert.ok((last?.mIoU ?? 0) > 0.75, JSON.stringify(last));
  const text = new TextDecoder().decode(await store.read('metrics.csv'));
  assert.match(
    text,
    /^epoch,step,size,strength,rate,decay,trainLoss,mIoU,pixelAccuracy,meanAccuracy,seconds,/,
  );

  const report = await runReport(task, { engine, progress, weights });
  const best = history[progress.bestEpoch - 1]?.mIoU ?? 0;
  assert.ok(Math.abs((report.pixels?.scores.meanIou ?? 0) - best) < 1e-9);
  const files = await reportFiles(report);
  for (const name of ['pixels', 'iou', 'pixel-confusion', 'examples', 'worst-pictures', 'augmented-batch'])
    assert.ok(files.has(`plots/${name}.svg`), `${name} among ${[...files.keys()]}`);

  const bytes = (await store.read('model.safetensors')) ?? new Uint8Array();
  const net = await readHeadNet(memorySource(bytes, 'model.safetensors'));
  assert.equal(net.form, 'deploy');
  assert.ok(![...net.weights.keys()].some((name) => name.startsWith('auxiliary.')));
  assert.ok(net.head.task === 'segment');
  const segmenter = await createSegmenter({ ...net, head: net.head }, { engine });
  const sample = made.data.validation?.samples[0];
  const picture = await made.decoder.decode(
    (await made.data.validation?.files.read(sample?.path ?? '')) ?? new Uint8Array(),
  );
  const { classes } = await segmenter.segment(picture);
  segmenter.dispose();
  assert.ok(
    classes.every(({ share }) => share > 0.05),
    JSON.stringify(classes),
  );

  const checkpoint = (await store.read('best.safetensors')) ?? new Uint8Array();
  const source = await readHeadNet(memorySource(checkpoint, 'best.safetensors'));
  assert.equal(source.form, 'train');
  const again = prepareSegmentRun({
    ...{ labels: config.labels, data: config.data, size: 32 },
    from: { ...source, name: 'best' },
  });
  assert.deepEqual(again.fresh, []);
  assert.deepEqual(again.config.head, config.head);
  const others = prepareSegmentRun({
    ...{ labels: ['a', 'b', 'c'], data: config.data, size: 32 },
    from: { ...source, name: 'best' },
  });
  assert.deepEqual(others.fresh, ['deeplab', 'auxiliary']);
  assert.deepEqual(others.weights.get('stem.conv.0.weight'), source.weights.get('stem.conv.0.weight'));
});

test('what covers two of a hundred pixels is learned in few epochs, as the rare weigh more', async () => {
  const made = await tinySegment({
    ...{ train: 96, val: 16, size: 64, epochs: 8, batch: 8, channels: 16, radius: [0.06, 0.1] },
    widths: [0.25, 0.125, 0.125, 0.0625],
  });
  const store = memoryRunStore();
  const { progress } = await learn(made.task, { engine, weights: made.weights, store });
  const found = progress.history.map(({ mIoU }) => mIoU ?? 0);
  // Ground alone is 0.492, and all that pixels of equal weight (loss.balance=0) teach in three times as many.
  assert.ok(Math.max(...found) > 0.54, found.join(' '));
});

/** All of a row but how long it took. */
const numbers = ({ seconds: _, imagesPerSecond: __, waitShare: ___, ...row }: MetricsRow) => row;

test('stopped after every step, a run goes on to the same numbers', async () => {
  const settings = {
    ...{ train: 9, val: 3, size: 32, epochs: 2, batch: 4, channels: 4 },
    widths: [0.0625, 0.03125, 0.015625, 0.0078125],
  };
  const whole = memoryRunStore();
  const { task, weights } = await tinySegment(settings);
  await learn(task, { engine: referenceEngine, weights, store: whole });
  const parts = memoryRunStore();
  const stopping = { engine: referenceEngine, store: parts };
  let result = await learn(task, { ...stopping, weights, signal: AbortSignal.abort() });
  for (let i = 0; result.ended === 'stopped'; i++) {
    assert.ok(i < 9);
    const stop = new AbortController();
    const from = await readRun(parts);
    assert.ok(from);
    result = await learn(task, { ...stopping, from, signal: stop.signal, onStep: () => stop.abort() });
  }
  await assertSame(parts, whole);
});

async function assertSame(a: RunStore, b: RunStore): Promise<void> {
  const [one, other] = await Promise.all(
    [a, b].map(async (store) =>
      readRunCheckpoint((await store.read('last.safetensors')) ?? new Uint8Array()),
    ),
  );
  assert.deepEqual(one?.state, other?.state);
  assert.deepEqual(one?.progress.history.map(numbers), other?.progress.history.map(numbers));
  assert.deepEqual(await a.read('model.safetensors'), await b.read('model.safetensors'));
}

test('a run is learned as what it is', async () => {
  const { config, task } = await tinySegment({
    ...{ train: 4, val: 0, size: 32, epochs: 1, batch: 4, channels: 4 },
    widths: [0.0625, 0.03125, 0.015625, 0.0078125],
  });
  assert.throws(() => classifyTask(config, { data: tinyData() }), UsageError);
  const other: LearningTask = { ...task, found: { ...task.found, classes: 3 } };
  await assert.rejects(
    learn(other, { engine: referenceEngine, store: memoryRunStore(), weights: new Map() }),
    /expected 2 classes, found 3/,
  );
});
