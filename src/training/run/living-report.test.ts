import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tinyConfig, tinyData, tinyWeights } from '../../../test/support/tiny-run.ts';
import { referenceEngine } from '../../engine/reference/reference-engine.ts';
import { classifyTask } from '../task/classify-task.ts';
import { learn } from './learn.ts';
import { livingReport } from './living-report.ts';
import type { MetricsRow } from './run-progress.ts';
import { memoryRunStore } from './run-store.ts';

const tools = { engine: referenceEngine };
const task = classifyTask(tinyConfig(), { data: tinyData() });
const epochs = tinyConfig().recipe.epochs;

const textOf = async (store: ReturnType<typeof memoryRunStore>, name = 'report.html') =>
  new TextDecoder().decode(await store.read(name));

/** A run of some epochs that took so long each, the best one being said. */
function runAt(length: number, bestEpoch: number, seconds: number) {
  const row = (epoch: number): MetricsRow => ({
    ...{ epoch, step: epoch, size: 32, strength: 0, rate: 0.1, decay: 0, trainLoss: 1 / epoch },
    ...{ seconds, imagesPerSecond: 1, waitShare: 0, loss: 1, top1: 0.5, top5: null, trainTop1: 0.5 },
  });
  const history = Array.from({ length }, (_, i) => row(i + 1));
  const sums = { loss: 0, correct: 0, images: 0, seconds: 0, waitSeconds: 0 };
  return {
    progress: { version: 1, step: length, sums, history, bestEpoch },
    weights: tinyWeights(),
  } as const;
}

/** How often weights are judged. */
function counted() {
  const count = { judged: 0 };
  const report: typeof task.report = (weights, with_) => {
    count.judged++;
    return task.report(weights, with_);
  };
  const store = memoryRunStore();
  return { count, store, report: livingReport({ ...task, report }, store, tools) };
}

test('after every epoch a run has a whole report of what it is at', async () => {
  const store = memoryRunStore();
  const report = livingReport(task, store, tools);
  const seen: string[] = [];
  const stop = new AbortController();
  const result = await learn(task, {
    ...{ ...tools, store, weights: tinyWeights(), signal: stop.signal },
    onEpoch: async ({ epoch }, _, run) => {
      await report.renew(run);
      const page = await textOf(store);
      assert.match(page, /<\/html>\s*$/);
      seen.push(page.match(/epoch \d of 6/)?.[0] ?? '');
      if (epoch === 3) stop.abort();
    },
  });
  assert.equal(result.ended, 'stopped');
  assert.deepEqual(seen, ['epoch 1 of 6', 'epoch 2 of 6', 'epoch 3 of 6']);
  await report.finish(result);
  const page = await textOf(store);
  for (const part of ['epoch 3 of 6', 'Curves', 'Evaluation', 'Augmented batch'])
    assert.ok(page.includes(part), part);
  assert.ok(!page.includes('scores and pictures of epoch'));
  assert.ok([...store.files.keys()].some((name) => name.startsWith('plots/') && name.endsWith('.svg')));
});

test('epochs that are short beside judging get their curves only, until the run is over', async () => {
  const { count, store, report } = counted();
  await report.renew(runAt(1, 1, 0));
  await report.renew(runAt(2, 2, 0));
  assert.equal(count.judged, 1);
  assert.match(await textOf(store), /epoch 2 of 6; scores and pictures of epoch 1/);
  await report.finish(runAt(2, 2, 0));
  assert.equal(count.judged, 2);
  assert.ok(!(await textOf(store)).includes('scores and pictures of epoch'));
  await report.renew(runAt(epochs, 3, 0));
  assert.equal(count.judged, 3);
  assert.match(await textOf(store), /finished/);
  await report.finish(runAt(epochs, 3, 0));
  assert.equal(count.judged, 3, 'nothing was left to judge');
});

test('long epochs are judged where their weights are the best so far', async () => {
  const { count, report } = counted();
  for (const [epoch, best] of [
    [1, 1],
    [2, 1],
    [3, 3],
    [4, 3],
  ] as const)
    await report.renew(runAt(epoch, best, 1e6));
  assert.equal(count.judged, 2);
});

test('a run without an epoch has no report', async () => {
  const { store, report } = counted();
  await report.finish(runAt(0, 0, 0));
  assert.equal(store.files.size, 0);
});
