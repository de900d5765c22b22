import assert from 'node:assert/strict';
import { test } from 'node:test';
import { referenceEngine } from '../engine/reference/reference-engine.ts';
import { UsageError } from '../errors.ts';
import { mobileOneConfig } from '../model/config.ts';
import { initialWeights, randomStatistics } from '../model/initialize.ts';
import { buildMobileOne } from '../model/mobileone.ts';
import { createRandom } from '../tensor/random.ts';
import { evaluateClassifier, type PreparedBatch } from './evaluate-classifier.ts';

const config = mobileOneConfig('s0', {
  widths: [0.125, 0.0625, 0.03125, 0.015625],
  pairs: [1, 1, 1, 1],
  branches: 2,
  classes: 3,
});
const graph = buildMobileOne(config, { form: 'train', height: 32, width: 32 });
const fresh = randomStatistics(graph, initialWeights(graph, 'timm', 1), 2);
// A fresh head is almost flat; one that tells pictures apart shows differences too.
const weights = new Map(fresh);
const head = fresh.get('head.weight');
if (head)
  weights.set('head.weight', { shape: head.shape, data: head.data.map((x) => 300 * x) as Float32Array });
const net = { config, form: 'train', weights } as const;
const size = 32 * 32 * 3;

/** Seven pictures in batches of three, the last filled up; sample 4 is missing. */
async function* pictures(released: number[] = []): AsyncGenerator<PreparedBatch> {
  const { normal } = createRandom(3);
  const data = Float32Array.from({ length: 9 * size }, normal);
  for (const [step, indices] of [
    [0, 1, 2],
    [3, -1, 5],
    [6, -1, -1],
  ].entries())
    yield {
      images: data.slice(step * 3 * size, (step + 1) * 3 * size),
      indices,
      release: () => released.push(step),
    };
}

const labels = [0, 1, 2, 0, 1, 2, 0];
const options = {
  engine: referenceEngine,
  batch: 3,
  height: 32,
  width: 32,
  labelOf: (i: number) => labels[i] ?? -1,
};

test('both forms on the same pictures: the same answers, every picture once', async () => {
  const released: number[] = [];
  const progress: number[] = [];
  const result = await evaluateClassifier(net, pictures(released), {
    ...options,
    forms: ['train', 'deploy'],
    onProgress: (done) => progress.push(done),
  });
  const [train, deploy] = result.forms;
  assert.deepEqual([train?.form, deploy?.form], ['train', 'deploy']);
  assert.equal(train?.metrics.count, 6);
  assert.deepEqual(train.metrics.confusion, deploy?.metrics.confusion);
  assert.deepEqual(
    train.metrics.classes.map(({ support }) => support),
    [3, 1, 2],
  );
  assert.deepEqual(
    [progress, released],
    [
      [3, 5, 6],
      [0, 1, 2],
    ],
  );
  assert.equal(result.agreement?.answers, 0);
  assert.ok(result.agreement.probability > 0 && result.agreement.probability < 1e-5);
  assert.ok(result.waitShare >= 0 && result.waitShare <= 1);
});

test('mistakes are the confident ones, with both probabilities', async () => {
  const { forms } = await evaluateClassifier(net, pictures(), { ...options, mistakes: 2 });
  const [{ metrics, mistakes } = assert.fail()] = forms;
  const wrong = metrics.count - metrics.confusion.reduce((sum, row, i) => sum + (row[i] ?? 0), 0);
  assert.equal(mistakes.length, Math.min(2, wrong));
  for (const { index, truth, predicted, probability, truthProbability } of mistakes) {
    assert.equal(truth, labels[index]);
    assert.notEqual(predicted, truth);
    assert.ok(probability > truthProbability && probability <= 1);
  }
});

test('deploy-form weights have no train form; an abort ends it', async () => {
  await assert.rejects(
    evaluateClassifier({ ...net, form: 'deploy' }, pictures(), { ...options, forms: ['train'] }),
    UsageError,
  );
  const abort = new AbortController();
  const stop = { ...options, signal: abort.signal, onProgress: () => abort.abort(new Error('enough')) };
  await assert.rejects(evaluateClassifier(net, pictures(), stop), /enough/);
});
