import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pngOf } from '../../../test/support/pictures.ts';
import { seededImage } from '../../../test/support/pillow.ts';
import { DataError } from '../../errors.ts';
import { applyTransform } from '../../image/apply-transform.ts';
import { resolveEvalTransform } from '../../image/eval-transform.ts';
import { createPortableDecoder } from '../../image/portable-decoder.ts';
import type { ClassDataset } from '../dataset.ts';
import { memoryFiles } from '../files.ts';
import type { Batch, BatchPool, EvalPictures, TrainPictures } from './batch.ts';
import { createInlinePool } from './inline-pool.ts';
import { createLoader, type LoaderOptions } from './loader.ts';

const decoder = createPortableDecoder({ advice: '' });
const pool = createInlinePool(decoder);
const picture = (index: number) => seededImage(20 + (index % 3), 17, index + 1);

/** Pictures 0 … count − 1 of three classes; those in `bad` are no pictures. */
function dataset(count: number, bad: readonly number[] = []): ClassDataset {
  const contents = new Map<string, Uint8Array>();
  const samples = Array.from({ length: count }, (_, index) => {
    const path = `${index}.png`;
    contents.set(path, bad.includes(index) ? new Uint8Array([1, 2, 3]) : pngOf(picture(index)));
    return { path, target: index % 3 };
  });
  return { name: 'pictures', files: memoryFiles('pictures', contents), samples, classes: ['a', 'b', 'c'] };
}

const normalization = { scale: 1, mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] } as const;
const train: TrainPictures = {
  kind: 'train',
  augmentation: {
    crop: { area: [0.3, 1], ratio: [0.75, 4 / 3] },
    flip: 0.5,
    randAugment: { count: 1, level: 5, deviation: 0.5 },
    autoAugment: false,
    color: null,
    erase: 0.2,
  },
  mixup: 0,
  cutmix: 0,
  interpolation: 'bilinear',
  normalization,
  size: 8,
  strength: 1,
};
const transform = resolveEvalTransform('apple', { inputSize: 8 });
const evaluation: EvalPictures = { kind: 'eval', transform };

async function take(
  data: ClassDataset,
  options: Omit<LoaderOptions, 'batchSize'>,
  epoch = 0,
  from = 0,
  makers = pool,
) {
  const loader = createLoader(data, makers, { batchSize: 4, ...options });
  const batches: Batch[] = [];
  for await (const batch of loader.epoch(epoch, { from })) batches.push(batch);
  return { loader, batches };
}
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}
const contents = (batches: readonly Batch[]) =>
  batches.map(({ step, images, targets, indices }) => ({ step, images, targets, indices }));

test('training batches: every picture at most once, all but the rest; the same again, another order next epoch', async () => {
  const data = dataset(11);
  const { loader, batches } = await take(data, { pictures: train, seed: 5 });
  assert.equal(loader.steps, 2);
  const seen = batches.flatMap(({ indices }) => [...indices]);
  assert.equal(new Set(seen).size, 8);
  for (const { images, targets, indices, width, height } of batches) {
    assert.deepEqual([images.length, targets.length, width, height], [4 * 8 * 8 * 3, 12, 8, 8]);
    for (const [row, index] of indices.entries())
      assert.deepEqual(
        [...targets.subarray(row * 3, row * 3 + 3)],
        [0, 1, 2].map((k) => (k === index % 3 ? 1 : 0)),
      );
  }
  const again = await take(data, { pictures: train, seed: 5 });
  assert.deepEqual(contents(again.batches), contents(batches));
  const next = await take(data, { pictures: train, seed: 5 }, 1);
  assert.notDeepEqual(contents(next.batches)[0]?.indices, contents(batches)[0]?.indices);
  const other = await take(data, { pictures: train, seed: 6 });
  assert.notDeepEqual(contents(other.batches), contents(batches));
});

test('an epoch goes on from any step with the same batches, mixing included', async () => {
  const data = dataset(13);
  const options = { pictures: { ...train, mixup: 0.4, cutmix: 1 }, lastBatch: 'short' } as const;
  const whole = await take(data, options, 3);
  const rest = await take(data, options, 3, 2);
  assert.equal(whole.batches.length, 4);
  assert.deepEqual(contents(rest.batches), contents(whole.batches.slice(2)));
  assert.equal(whole.batches[3]?.indices.length, 1);
});

test('evaluation: in order, the exact eval transform, padded with empty rows', async () => {
  const { batches } = await take(dataset(6), { pictures: evaluation });
  assert.deepEqual(
    batches.map(({ indices }) => [...indices]),
    [
      [0, 1, 2, 3],
      [4, 5, -1, -1],
    ],
  );
  for (const { images, indices } of batches)
    for (const [row, index] of indices.entries()) {
      const expected = index < 0 ? new Float32Array(192) : applyTransform(picture(index), transform).data;
      assert.deepEqual(images.subarray(row * 192, (row + 1) * 192), expected);
    }
  assert.deepEqual([...(batches[1]?.targets.subarray(6) ?? [])], [0, 0, 0, 0, 0, 0]);
});

test('broken pictures: the next good one stands in while training, an empty row while evaluating', async () => {
  const data = dataset(9, [3, 4, 8]);
  const told: string[] = [];
  const options = { pictures: train, shuffle: false, lastBatch: 'short' } as const;
  const { loader, batches } = await take(data, { ...options, onBroken: ({ path }) => told.push(path) });
  assert.deepEqual(
    batches.map(({ indices }) => [...indices]),
    [[0, 1, 2, 5], [5, 5, 6, 7], [0]],
  );
  assert.deepEqual(told.sort(), ['3.png', '4.png', '8.png']);
  assert.equal(loader.stats().broken.length, 3);
  assert.match(loader.stats().broken[0]?.reason ?? '', /not a picture/);
  const known: Batch[] = [];
  for await (const batch of loader.epoch(0)) known.push(batch);
  assert.deepEqual(contents(known), contents(batches), 'the same when it is known beforehand');
  const evaluated = await take(data, { pictures: evaluation });
  assert.deepEqual(
    evaluated.batches.flatMap(({ indices }) => [...indices]),
    [0, 1, 2, -1, -1, 5, 6, 7, -1, -1, -1, -1],
  );
  const none = dataset(4, [0, 1, 2, 3]);
  await assert.rejects(
    take(none, { pictures: train }),
    (error) => error instanceof DataError && /none of its 4/.test(error.message),
  );
});

test('a missing file is a broken picture', async () => {
  const data = dataset(5);
  const samples = data.samples.map((sample, index) =>
    index === 1 ? { ...sample, path: 'gone.png' } : sample,
  );
  const { batches, loader } = await take({ ...data, samples }, { pictures: evaluation });
  assert.deepEqual([...(batches[0]?.indices ?? [])], [0, -1, 2, 3]);
  assert.match(loader.stats().broken[0]?.reason ?? '', /gone\.png/);
});

test('the cache changes no batch, saves decoding, and keeps to its limit', async () => {
  const data = dataset(12);
  let decodes = 0;
  const counting = createInlinePool({
    ...decoder,
    decode: (...given) => {
      decodes++;
      return decoder.decode(...given);
    },
  });
  const run = async (cacheBytes: number) => {
    decodes = 0;
    const loader = createLoader(data, counting, { batchSize: 4, pictures: train, cacheBytes });
    const all: Batch[] = [];
    for (const epoch of [0, 1, 2]) for await (const batch of loader.epoch(epoch)) all.push(batch);
    return { all, stats: loader.stats(), decodes };
  };
  const without = await run(0);
  const all = await run(1e6);
  const some = await run(5000);
  assert.deepEqual(contents(all.all), contents(without.all));
  assert.deepEqual(contents(some.all), contents(without.all));
  assert.deepEqual([without.decodes, all.decodes], [36, 12]);
  assert.equal(all.stats.cachedPictures, 12);
  assert.ok(some.stats.cachedBytes <= 5000 && some.stats.cachedPictures >= 3 && some.decodes < 36);
});

test('released arrays are used again, and hold nothing of what they had', async () => {
  const loader = createLoader(dataset(6), pool, { batchSize: 4, pictures: evaluation });
  const arrays = new Set<Float32Array>();
  for (const epoch of [0, 1])
    for await (const batch of loader.epoch(epoch)) {
      arrays.add(batch.images);
      if (batch.step === 1) {
        assert.ok(batch.images.subarray(2 * 192).every((value) => value === 0));
        assert.equal(
          batch.targets.reduce((sum, value) => sum + value, 0),
          2,
        );
      }
      batch.release();
      batch.release();
    }
  assert.equal(arrays.size, 1);
});

test('size and strength of an epoch; shrinking on reading', async () => {
  const loader = createLoader(dataset(4), pool, { batchSize: 4, pictures: train, shrink: 9 });
  for await (const { width, images } of loader.epoch(0, { size: 6, strength: 0.5 }))
    assert.deepEqual([width, images.length], [6, 4 * 108]);
  const cached = createLoader(dataset(1), pool, {
    batchSize: 1,
    pictures: train,
    shrink: 9,
    cacheBytes: 1e6,
  });
  for await (const batch of cached.epoch(0)) batch.release();
  assert.equal(cached.stats().cachedBytes, Math.round((20 * 9) / 17) * 9 * 3);
});

test('an abort ends the epoch with its reason; a consumer may leave early', async () => {
  const controller = new AbortController();
  const never: BatchPool = {
    ahead: 2,
    readsFiles: false,
    make: () => new Promise(() => {}),
    close: async () => {},
  };
  const options = { batchSize: 4, pictures: train, signal: controller.signal };
  const waiting = createLoader(dataset(8), never, options).epoch(0).next();
  controller.abort(new Error('enough'));
  await assert.rejects(waiting, /enough/);
  await assert.rejects(createLoader(dataset(8), pool, options).epoch(0).next(), /enough/);
  const loader = createLoader(dataset(8), pool, { batchSize: 4, pictures: train });
  for await (const batch of loader.epoch(0)) {
    assert.equal(batch.step, 0);
    break;
  }
  assert.equal(loader.stats().batches, 1);
});

test('batches are asked for ahead of need, and no further', async () => {
  let asked = 0;
  const make: BatchPool['make'] = (task) => {
    asked++;
    return pool.make(task);
  };
  const ahead: BatchPool = { ...pool, ahead: 3, make };
  const loader = createLoader(dataset(40), ahead, { batchSize: 4, pictures: train });
  const batches = loader.epoch(0);
  for (const expected of [4, 5]) {
    await batches.next();
    await until(() => asked >= expected);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(asked, expected);
  }
});

test('epochs one after the other: the next is begun ahead, and only while training', async () => {
  const made: string[] = [];
  const make: BatchPool['make'] = (task) => {
    made.push(`${task.epoch}.${task.step}`);
    return pool.make(task);
  };
  const ahead: BatchPool = { ...pool, ahead: 2, make };
  const data = dataset(12);
  const all: Batch[] = [];
  const loader = createLoader(data, ahead, { batchSize: 4, pictures: train });
  for await (const batch of loader.epoch(0)) all.push(batch);
  await until(() => made.length >= 5);
  assert.deepEqual(made, ['0.0', '0.1', '0.2', '1.0', '1.1']);
  for await (const batch of loader.epoch(1)) all.push(batch);
  await until(() => made.length >= 8);
  assert.deepEqual(made.slice(5), ['1.2', '2.0', '2.1']);
  for await (const { width } of loader.epoch(2, { size: 6 })) assert.equal(width, 6);
  assert.deepEqual(made.slice(8, 11), ['2.0', '2.1', '2.2'], 'made anew at another size');
  const plain = [
    ...(await take(data, { pictures: train })).batches,
    ...(await take(data, { pictures: train }, 1)).batches,
  ];
  assert.deepEqual(contents(all), contents(plain));
  made.length = 0;
  const judged = createLoader(data, ahead, { batchSize: 4, pictures: evaluation });
  for await (const batch of judged.epoch(0)) batch.release();
  assert.deepEqual(made, ['0.0', '0.1', '0.2']);
});

test('pictures without a common size, and targets that are no class, are refused', () => {
  const data = dataset(4);
  const open = { ...transform, crop: null };
  const make = (given: ClassDataset, pictures: EvalPictures) => () =>
    createLoader(given, pool, { batchSize: 2, pictures });
  assert.throws(make(data, { kind: 'eval', transform: open }), /one size/);
  for (const target of [3, -1, 0.5]) {
    const samples = [...data.samples, { path: 'x.png', target }];
    assert.throws(
      make({ ...data, samples }, evaluation),
      (error) => error instanceof DataError && /x\.png/.test(error.message),
    );
  }
});

test('batch sizes that make no batch are refused', () => {
  for (const batchSize of [0, 12, 1.5, Number.NaN])
    assert.throws(() => createLoader(dataset(11), pool, { batchSize, pictures: train }), DataError);
});
