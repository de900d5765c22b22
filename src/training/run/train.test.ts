import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tinyConfig, tinyData, tinyWeights } from '../../../test/support/tiny-run.ts';
import { referenceEngine } from '../../engine/reference/reference-engine.ts';
import { FormatError, TrainingError, UsageError } from '../../errors.ts';
import { memorySource } from '../../format/byte-source.ts';
import { readNet } from '../../task/read-net.ts';
import { encodeRunCheckpoint, readRunCheckpoint } from './run-checkpoint.ts';
import type { MetricsRow } from './run-progress.ts';
import { memoryRunStore, type RunStore } from './run-store.ts';
import { readRun, type TrainOptions, train } from './train.ts';

const begin = (over: Partial<TrainOptions> = {}): TrainOptions => ({
  engine: referenceEngine,
  config: tinyConfig(),
  weights: tinyWeights(),
  data: tinyData(),
  store: memoryRunStore(),
  ...over,
});

async function goOn(store: RunStore, over: Partial<TrainOptions> = {}) {
  const from = await readRun(store);
  assert.ok(from);
  const { weights: _, ...options } = begin({ store, config: from.config, from, ...over });
  return train(options);
}

/** All of a row but how long it took. */
const numbers = ({ seconds: _, imagesPerSecond: __, waitShare: ___, ...row }: MetricsRow) => row;

async function assertSameRun(a: RunStore, b: RunStore): Promise<void> {
  const [one, other] = [await readRun(a), await readRun(b)];
  assert.ok(one && other);
  assert.deepEqual(one.state, other.state);
  assert.deepEqual(one.progress.history.map(numbers), other.progress.history.map(numbers));
  assert.equal(one.progress.bestEpoch, other.progress.bestEpoch);
  assert.deepEqual(await a.read('model.safetensors'), await b.read('model.safetensors'));
}

const straightStore = memoryRunStore();
const straight = await train(begin({ store: straightStore }));

test('a run learns, changes its resolution, and leaves its files', async () => {
  const { history, bestEpoch } = straight.progress;
  assert.equal(straight.ended, 'done');
  assert.deepEqual(
    history.map(({ epoch, size, step }) => [epoch, size, step]),
    [1, 2, 3, 4, 5, 6].map((epoch) => [epoch, epoch <= 4 ? 32 : 40, 2 * epoch]),
  );
  assert.ok((history.at(-1)?.trainLoss ?? 9) < (history[0]?.trainLoss ?? 0));
  assert.equal(history[bestEpoch - 1]?.top1, Math.max(...history.map(({ top1 }) => top1 ?? 0)));
  assert.deepEqual([...straightStore.files.keys()].sort(), [
    'best.safetensors',
    'config.json',
    'last.safetensors',
    'metrics.csv',
    'metrics.jsonl',
    'model.safetensors',
  ]);
  const text = async (name: string) => new TextDecoder().decode(await straightStore.read(name));
  const csv = (await text('metrics.csv')).trimEnd().split('\n');
  assert.equal(csv.length, 7);
  assert.match(csv[0] ?? '', /^epoch,step,size,strength,rate,decay,trainLoss,trainTop1,loss,top1,top5,/);
  assert.deepEqual(JSON.parse((await text('metrics.jsonl')).split('\n')[5] ?? ''), history[5]);
  assert.deepEqual(JSON.parse(await text('config.json')), tinyConfig());
});

test('the model is deploy form with labels and transform; checkpoints read as nets', async () => {
  const read = async (name: string) =>
    readNet(memorySource((await straightStore.read(name)) ?? new Uint8Array(), name));
  const model = await read('model.safetensors');
  assert.equal(model.form, 'deploy');
  assert.deepEqual(model.metadata.labels, ['dark', 'bright']);
  assert.deepEqual(model.metadata.transform, tinyConfig().transform);
  const best = await read('best.safetensors');
  assert.equal(best.form, 'train');
  assert.deepEqual(best.weights, straight.weights);
});

test('three epochs and three more are six', async () => {
  const store = memoryRunStore();
  const stop = new AbortController();
  const first = await train(
    begin({ store, signal: stop.signal, onEpoch: ({ epoch }) => epoch === 3 && stop.abort() }),
  );
  assert.equal(first.ended, 'stopped');
  assert.equal(first.progress.history.length, 3);
  assert.equal((await goOn(store)).ended, 'done');
  await assertSameRun(store, straightStore);
});

test('stopped after every single step, also between a last step and its evaluation', async () => {
  const store = memoryRunStore();
  let result = await train(begin({ store, signal: AbortSignal.abort() }));
  for (let i = 0; result.ended === 'stopped'; i++) {
    assert.ok(i < 20);
    const stop = new AbortController();
    result = await goOn(store, { signal: stop.signal, onStep: () => stop.abort() });
  }
  await assertSameRun(store, straightStore);
  const done = await goOn(store);
  assert.deepEqual(done.progress, result.progress, 'a finished run has nothing left to do');
});

test('steps in parts: stopped after every step, and parts that are over', async () => {
  const config = tinyConfig({ accumulate: 2, epochs: 2 });
  const whole = memoryRunStore();
  await train(begin({ config, store: whole }));
  const store = memoryRunStore();
  let result = await train(begin({ config, store, signal: AbortSignal.abort() }));
  while (result.ended === 'stopped') {
    const stop = new AbortController();
    result = await goOn(store, { signal: stop.signal, onStep: () => stop.abort() });
  }
  assert.equal(result.progress.step, 4, 'ten pictures are two steps of two parts of two');
  await assertSameRun(store, whole);
  const few = { ...config, recipe: { ...config.recipe, batch: 22, accumulate: 11 } };
  await assert.rejects(train(begin({ config: few })), /too few for a step in 11 parts/);
});

test('frozen layers run fused, stay as they were in every file, and runs go on', async () => {
  const config = tinyConfig({ freeze: 'stage2', epochs: 2 });
  const whole = memoryRunStore();
  await train(begin({ config, store: whole }));
  const store = memoryRunStore();
  const stop = new AbortController();
  await train(begin({ config, store, signal: stop.signal, onStep: () => stop.abort() }));
  const result = await goOn(store);
  await assertSameRun(store, whole);
  const start = tinyWeights();
  assert.deepEqual([...result.weights.keys()].sort(), [...start.keys()].sort());
  for (const [name, tensor] of start)
    if (/^stem|^stages\.[01]/.test(name)) assert.deepEqual(result.weights.get(name), tensor, name);
    else if (name.endsWith('.weight')) assert.notDeepEqual(result.weights.get(name), tensor, name);
  const read = async (name: string) =>
    readNet(memorySource((await store.read(name)) ?? new Uint8Array(), name));
  assert.equal((await read('best.safetensors')).form, 'train');
  assert.equal((await read('model.safetensors')).form, 'deploy');
});

test('checkpoints in the middle of an epoch do not change the numbers', async () => {
  const store = memoryRunStore();
  await train(begin({ store, checkpointSeconds: 0 }));
  await assertSameRun(store, straightStore);
});

test('a full disk: the error is typed, the old checkpoint whole, the run goes on from it', async () => {
  const store = memoryRunStore();
  let writes = 0;
  const filling: RunStore = {
    ...store,
    write: async (name, bytes) => {
      if (name.endsWith('.safetensors') && ++writes > 4)
        throw new TrainingError(`"${name}" cannot be written: no space left on device.`);
      await store.write(name, bytes);
    },
  };
  await assert.rejects(train(begin({ store: filling })), TrainingError);
  assert.ok(((await readRun(store))?.progress.history.length ?? 0) >= 1);
  await goOn(store);
  await assertSameRun(store, straightStore);
});

test('a loss that is no number stops the run and says what to do; the checkpoint stays', async () => {
  const store = memoryRunStore();
  const data = tinyData();
  const broken: TrainOptions['data'] = {
    ...data,
    trainBatches: async function* (request) {
      for await (const one of data.trainBatches(request)) {
        if (request.epoch === 2) one.images.data.fill(Number.NaN);
        yield one;
      }
    },
  };
  await assert.rejects(
    train(begin({ store, data: broken })),
    (error: unknown) =>
      error instanceof TrainingError &&
      /is NaN in epoch 3, step 1 of 2 .*lower rate\.base/.test(error.message),
  );
  assert.equal((await readRun(store))?.progress.history.length, 2);
});

test('a loss that stays far above that of guesses stops the run', async () => {
  const huge: TrainOptions['engine'] = {
    name: 'huge',
    compile: async (...given) => {
      const session = await referenceEngine.compile(...given);
      const loss = { shape: [1], data: Float32Array.of(1000) };
      return { ...session, run: async (inputs) => ({ ...(await session.run(inputs)), loss }) };
    },
  };
  const data = { ...tinyData(), trainCount: 400 };
  const once = data.trainBatches;
  const long: TrainOptions['data'] = {
    ...data,
    trainBatches: async function* (request) {
      for (let i = 0; i < 100; i++) yield* once({ ...request, from: 1 });
    },
  };
  const config = { ...tinyConfig(), data: { ...tinyConfig().data, train: 400 } };
  await assert.rejects(
    train(begin({ engine: huge, data: long, config })),
    (error: unknown) => error instanceof TrainingError && /has grown to \d+ in epoch 1/.test(error.message),
  );
});

test('a damaged checkpoint is refused at every byte of its header and when cut', async () => {
  const bytes = (await straightStore.read('last.safetensors')) ?? new Uint8Array();
  for (const length of [0, 7, 100, bytes.length >> 1, bytes.length - 1])
    await assert.rejects(readRunCheckpoint(bytes.slice(0, length)), FormatError);
  const model = (await straightStore.read('model.safetensors')) ?? new Uint8Array();
  await assert.rejects(readRunCheckpoint(model), /checkpoint of a run|training run's checkpoint/);
  const whole = await readRunCheckpoint(bytes);
  assert.deepEqual(encodeRunCheckpoint(whole), bytes);
});

test('other data than a run began with, and nothing to begin with, are refused', async () => {
  const data = { ...tinyData(), trainCount: 11 };
  await assert.rejects(train(begin({ data })), (error: unknown) =>
    error instanceof UsageError ? /expected 10 train, found 11/.test(error.message) : false,
  );
  const { weights: _, ...nothing } = begin();
  await assert.rejects(train(nothing), UsageError);
});

test('without pictures to validate on, the last epoch is the best', async () => {
  const config = tinyConfig({ epochs: 2 });
  const result = await train(
    begin({
      config: { ...config, data: { ...config.data, validation: 0 } },
      data: { ...tinyData(), validationCount: 0 },
    }),
  );
  assert.equal(result.progress.bestEpoch, 2);
  assert.deepEqual(
    result.progress.history.map(({ top1, loss }) => [top1, loss]),
    [
      [null, null],
      [null, null],
    ],
  );
});
