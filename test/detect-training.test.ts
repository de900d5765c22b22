import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import { UsageError } from '../src/errors.ts';
import { memorySource } from '../src/format/byte-source.ts';
import { reportFiles } from '../src/report/write-report.ts';
import { createDetector } from '../src/task/detect.ts';
import { readHeadNet } from '../src/task/head-checkpoint.ts';
import { prepareDetectRun } from '../src/training/recipe/prepare-head-run.ts';
import { checkRunConfig } from '../src/training/recipe/run-config.ts';
import { learn } from '../src/training/run/learn.ts';
import type { MetricsRow } from '../src/training/run/run-progress.ts';
import { runReport } from '../src/training/run/run-report.ts';
import { memoryRunStore } from '../src/training/run/run-store.ts';
import { readRun } from '../src/training/run/train.ts';
import { detectTask } from '../src/training/task/detect-task.ts';
import { engine, pool } from './support/cpu.ts';
import { type TinyDetect, tinyDetect } from './support/tiny-detect.ts';

after(() => pool.dispose());

const simple = {
  ...{ size: 64, batch: 8, widths: [0.25, 0.25, 0.25, 0.25], kinds: ['circle', 'cross'] },
  ...{ radius: [0.25, 0.4], set: ['augment.crop=null', 'augment.color=null', 'rate.base=8e-3'] },
} as const satisfies Partial<TinyDetect>;

test('shapes are found far more often than by chance: a net, its report and its file', async () => {
  const made = await tinyDetect({ ...simple, train: 120, val: 24, epochs: 14 });
  const { config, task } = made;
  assert.deepEqual(checkRunConfig(JSON.parse(JSON.stringify(config)), 'config'), config);
  const store = memoryRunStore();
  const { progress, weights } = await learn(task, { engine, weights: made.weights, store });
  const { history } = progress;
  const [first, last] = [history[0], history.at(-1)];
  assert.ok((last?.trainLoss ?? 9) < 0.6 * (first?.trainLoss ?? 0), JSON.stringify(history));
  // Boxes of the right size in a random place, with a random name, have less than 0.05.
  const best = history[progress.bestEpoch - 1];
  assert.ok((best?.mAP50 ?? 0) > 0.4, JSON.stringify(best));
  const text = new TextDecoder().decode(await store.read('metrics.csv'));
  assert.match(text, /^epoch,step,size,strength,rate,decay,trainLoss,mAP,mAP50,mAP75,seconds,/);

  const report = await runReport(task, { engine, progress, weights });
  assert.ok(Math.abs((report.boxes?.stats.AP ?? 0) - (best?.mAP ?? 0)) < 1e-9);
  const files = await reportFiles(report);
  for (const name of ['precision', 'precision-recall', 'examples', 'worst-pictures', 'augmented-batch'])
    assert.ok(files.has(`plots/${name}.svg`), `${name} among ${[...files.keys()]}`);

  const bytes = (await store.read('model.safetensors')) ?? new Uint8Array();
  const net = await readHeadNet(memorySource(bytes, 'model.safetensors'));
  assert.ok(net.form === 'deploy' && net.head.task === 'detect');
  assert.deepEqual(net.head, config.head);
  const detector = await createDetector({ ...net, head: net.head }, { engine });
  const { validation } = made.data;
  let found = 0;
  for (const { path, target } of validation?.samples.slice(0, 8) ?? []) {
    const picture = await made.decoder.decode((await validation?.files.read(path)) ?? new Uint8Array());
    const [surest] = await detector.detect(picture, { leastScore: 0.05 });
    if (surest && target.objects.some(({ category }) => category === surest.label)) found++;
  }
  detector.dispose();
  assert.ok(found >= 6, `${found} of 8`);

  const checkpoint = (await store.read('best.safetensors')) ?? new Uint8Array();
  const source = { ...(await readHeadNet(memorySource(checkpoint, 'best.safetensors'))), name: 'best' };
  const plan = { data: config.data, size: 64, from: source };
  const again = prepareDetectRun({ ...plan, labels: config.labels });
  assert.deepEqual([again.fresh, again.config.head], [[], config.head]);
  // Other classes: what is around them stays.
  const others = prepareDetectRun({ ...plan, labels: ['a', 'b', 'c'] });
  assert.deepEqual(others.fresh, ['ssd']);
  for (const name of ['stem.conv.0.weight', 'ssd.boxes.0.predict.weight'])
    assert.deepEqual(others.weights.get(name), source.weights.get(name), name);
});

/** All of a row but how long it took. */
const numbers = ({ seconds: _, imagesPerSecond: __, waitShare: ___, ...row }: MetricsRow) => row;

test('stopped after every step, a run goes on to the same numbers; pictures of two sizes', async () => {
  const phases = [
    { epoch: 0, size: 32, strength: 0.5 },
    { epoch: 1, size: 64, strength: 1 },
  ];
  const mosaic = 'augment.mosaic={"chance":0.5,"scale":[1,2]}';
  const settings = {
    ...{ ...simple, widths: [0.125, 0.125, 0.125, 0.125], train: 12, val: 4, batch: 4, epochs: 2 },
    set: [`phases=${JSON.stringify(phases)}`, mosaic],
  };
  const whole = await tinyDetect(settings);
  const straight = await learn(whole.task, {
    ...{ engine: referenceEngine, weights: whole.weights, store: memoryRunStore() },
  });
  const store = memoryRunStore();
  for (let ended = 'stopped', begun = false; ended === 'stopped'; begun = true) {
    const { task, weights } = await tinyDetect(settings);
    const controller = new AbortController();
    const from = begun ? await readRun(store) : undefined;
    const options = { engine: referenceEngine, store, signal: controller.signal };
    const onStep = () => controller.abort();
    ({ ended } = await learn(task, { ...options, onStep, ...(from ? { from } : { weights }) }));
  }
  const stopped = await readRun(store);
  assert.deepEqual(stopped?.progress.history.map(numbers), straight.progress.history.map(numbers));
});

test('a run that learns something else is refused; anchors of a style, of the data, of the source', async () => {
  const { config, data, decoder } = await tinyDetect({ ...simple, train: 8, val: 4, epochs: 1 });
  const { task: _, head: __, ...rest } = config;
  const classes = { ...rest, recipe: { ...config.recipe, evaluation: { size: 64, resize: 64 } } };
  assert.throws(() => detectTask(classes as unknown as typeof config, { data, decoder }), UsageError);
  const plan = { labels: ['a'], data: config.data, size: 64 };
  const levels = (more: object) => prepareDetectRun({ ...plan, ...more }).config.head.anchors.levels;
  assert.equal(levels({ anchors: 'mmdetection' }).length, 6);
  assert.equal(levels({}).length, 6);
  assert.deepEqual(levels({ boxes: [[0.25, 0.5]] })[0], { shapes: [[16, 32]] });
  assert.equal(levels({ boxes: [[0.25, 0.5]], anchors: 'torchvision' }).length, 6);
});
