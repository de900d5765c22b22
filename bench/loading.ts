/**
 * What loading costs: processor time a picture, by augmentation, threads and cache, and that a consumer who takes
 * 8 ms a picture does not wait.
 *
 *     node dist/bench/loading.js FOLDER [--size 128] [--decoder auto|portable]
 */
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import type { TrainPictures } from '../src/data/loader/batch.ts';
import { createLoader } from '../src/data/loader/loader.ts';
import { UsageError } from '../src/errors.ts';
import { evalTransforms } from '../src/image/eval-transform.ts';
import { openDataPath } from '../src/platform/node/folder-files.ts';
import { createNodePool } from '../src/platform/node/loader-workers.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { size: { type: 'string', default: '128' }, decoder: { type: 'string', default: 'auto' } },
});
const [folder] = positionals;
if (folder === undefined) throw new UsageError('bench/loading: expected a folder of class folders.');
const decoder = values.decoder === 'portable' ? 'portable' : 'auto';
const batchSize = 32;
const stepMs = 8 * batchSize;
const mostBatches = 40;

const plain: TrainPictures = {
  kind: 'train',
  augmentation: {
    crop: { area: [0.08, 1], ratio: [3 / 4, 4 / 3] },
    flip: 0.5,
    randAugment: null,
    autoAugment: false,
    color: null,
    erase: 0,
  },
  mixup: 0,
  cutmix: 0,
  interpolation: 'bilinear',
  normalization: evalTransforms.apple,
  size: Number(values.size),
  strength: 1,
};
const strong: TrainPictures = {
  ...plain,
  augmentation: { ...plain.augmentation, randAugment: { count: 2, level: 7, deviation: 0.5 }, erase: 0.25 },
  mixup: 0.2,
  cutmix: 1,
};

const { train } = await openDataPath(folder);
console.log(
  `${cpus()[0]?.model}, ${availableParallelism()} cores, Node ${process.version}; ${train.samples.length} pictures at ${plain.size} px, decoder ${decoder}`,
);
for (const [name, pictures] of Object.entries({
  'crop and flip': plain,
  'RandAugment, erasing, mixing': strong,
}))
  for (const workers of [0, 1, 2]) {
    const pool = await createNodePool({ workers, decoder });
    const loader = createLoader(train, pool, { batchSize, pictures, cacheBytes: 2 ** 30 });
    for (const epoch of [0, 1]) {
      const before = { ...loader.stats(), cpu: process.cpuUsage(), at: performance.now() };
      let batches = 0;
      for await (const batch of loader.epoch(epoch)) {
        batch.release();
        if (++batches === mostBatches) break;
        await new Promise((resolve) => setTimeout(resolve, stepMs));
      }
      const { user, system } = process.cpuUsage(before.cpu);
      const stats = loader.stats();
      const wait = (stats.waitMs - before.waitMs) / (performance.now() - before.at);
      const each = (user + system) / 1000 / (stats.pictures - before.pictures);
      console.log(
        `${name}, ${workers} threads, ${epoch === 0 ? 'from files' : 'mostly from the cache'}: ` +
          `${each.toFixed(2)} ms of processor a picture, ${(100 * wait).toFixed(1)} % of the time waited`,
      );
    }
    await pool.close();
  }
