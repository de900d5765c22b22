import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { annotatedPictures } from '../../../test/support/annotated.ts';
import { pngOf } from '../../../test/support/pictures.ts';
import { seededImage } from '../../../test/support/pillow.ts';
import { golden, skipWithout } from '../../../test/support/shared.ts';
import type { ClassDataset } from '../../data/dataset.ts';
import { type DataFiles, memoryFiles } from '../../data/files.ts';
import type { DetectPictures, TrainPictures } from '../../data/loader/batch.ts';
import type { LoadedDataset } from '../../data/loader/batch-source.ts';
import { createLoader, type LoaderOptions } from '../../data/loader/loader.ts';
import { ssdAssignRule } from '../../detection/assign.ts';
import { boxCoders } from '../../detection/box-coder.ts';
import { DataError } from '../../errors.ts';
import { iouCrops } from '../../image/joint/iou-crop.ts';
import { folderFiles, openDataPath } from './folder-files.ts';
import { createNodePool } from './loader-workers.ts';

const pictures: TrainPictures = {
  kind: 'train',
  augmentation: {
    crop: { area: [0.08, 1], ratio: [0.75, 4 / 3] },
    flip: 0.5,
    randAugment: { count: 2, level: 7, deviation: 0.5 },
    autoAugment: true,
    color: { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 },
    erase: 0.3,
  },
  mixup: 0.2,
  cutmix: 1,
  interpolation: 'bicubic',
  normalization: { scale: 255, mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375] },
  size: 24,
  strength: 0.8,
};

const bytesOf = (index: number): Uint8Array =>
  index === 5 ? new Uint8Array([1, 2]) : pngOf(seededImage(30, 20 + index, index + 1));
const names = Array.from({ length: 22 }, (_, index) => `${index}.png`);
const datasetOf = (files: DataFiles): ClassDataset => ({
  name: 'pictures',
  files,
  classes: ['a', 'b'],
  samples: names.map((path, index) => ({ path, target: index % 2 })),
});

/** Two epochs, copied: arrays are released. */
async function batchesOf(dataset: LoadedDataset, workers: number, options: Partial<LoaderOptions> = {}) {
  const pool = await createNodePool({ workers });
  try {
    const loader = createLoader(dataset, pool, { batchSize: 4, pictures, seed: 3, ...options });
    const result: unknown[] = [];
    for (const epoch of [0, 1])
      for await (const { images, targets, offsets, indices, release } of loader.epoch(epoch)) {
        result.push([images.slice(), targets.slice(), offsets.slice(), indices]);
        release();
      }
    return { result, broken: loader.stats().broken.map(({ path }) => path), stats: loader.stats() };
  } finally {
    await pool.close();
  }
}

test('threads: the same batches whatever their number, from disk or memory, cached or not', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'mobileone-loader-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  for (const [index, name] of names.entries()) await writeFile(join(root, name), bytesOf(index));
  const onDisk = datasetOf(folderFiles(root));
  const inMemory = datasetOf(
    memoryFiles('memory', new Map(names.map((name, index) => [name, bytesOf(index)]))),
  );
  const { result, broken } = await batchesOf(onDisk, 0);
  assert.equal(result.length, 10);
  assert.deepEqual(broken, ['5.png']);
  for (const [dataset, workers, cacheBytes] of [
    [onDisk, 1, 0],
    [onDisk, 3, 1e6],
    [inMemory, 2, 0],
  ] as const) {
    const other = await batchesOf(dataset, workers, { cacheBytes });
    assert.deepEqual(other.result, result);
    assert.deepEqual(other.broken, broken);
    assert.equal(other.stats.cachedPictures, cacheBytes === 0 ? 0 : 21);
  }
});

test('threads: objects and mosaics are the same whatever their number', async () => {
  const { data } = await annotatedPictures(13, { broken: [4] });
  const detect: DetectPictures = {
    kind: 'detect',
    augmentation: {
      color: { brightness: 0.2, contrast: 0.2, saturation: 0.2, hue: 0 },
      mosaic: { chance: 0.6, scale: [1, 2] },
      expand: { chance: 0.5, factor: [1, 3] },
      crop: iouCrops.torchvision,
      scale: null,
      flip: 0.5,
      keepAspect: false,
      leastVisible: 0.1,
    },
    anchors: Float32Array.of(0, 0, 24, 24, 4, 4, 12, 12, 12, 12, 20, 20),
    targets: { assign: ssdAssignRule, coder: boxCoders.torchvision, background: 0 },
    ...{ interpolation: 'bilinear', normalization: pictures.normalization, size: 24, strength: 0.8 },
  };
  const { result, broken } = await batchesOf(data, 0, { pictures: detect });
  assert.equal(result.length, 6);
  assert.deepEqual(broken, ['images/4.png']);
  const threaded = await batchesOf(data, 3, { pictures: detect, cacheBytes: 1e6 });
  assert.deepEqual(threaded.result, result);
  assert.equal(threaded.stats.cachedPictures, 12);
});

test('a closed pool rejects what is being made and what is asked for', async () => {
  const pool = await createNodePool({ workers: 1 });
  const files = memoryFiles('memory', new Map(names.map((name, index) => [name, bytesOf(index)])));
  const batches = createLoader(datasetOf(files), pool, { batchSize: 4, pictures }).epoch(0);
  const pending = batches.next();
  pending.catch(() => {});
  await pool.close();
  await assert.rejects(pending, (error) => error instanceof DataError && /closed/.test(error.message));
  const later = createLoader(datasetOf(files), pool, { batchSize: 4, pictures }).epoch(0);
  await assert.rejects(later.next(), DataError);
});

const photos = ['data', 'tiny', 'cls'];
test('photos: threads and no threads agree; shrinking gives the size asked for', {
  skip: skipWithout(...photos),
}, async () => {
  const { train } = await openDataPath(golden(...photos));
  const some = { ...train, samples: train.samples.filter((_, index) => index % 6 === 0) };
  const alone = await batchesOf(some, 0, { shrink: 48 });
  const helped = await batchesOf(some, 2, { shrink: 48, cacheBytes: 1e6 });
  assert.deepEqual(helped.result, alone.result);
  assert.deepEqual(alone.broken, []);
  const exact = await batchesOf(some, 0);
  assert.notDeepEqual(exact.result, alone.result);
});
