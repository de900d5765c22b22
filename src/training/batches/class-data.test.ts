import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pngOf } from '../../../test/support/pictures.ts';
import { seededImage } from '../../../test/support/pillow.ts';
import { memoryFiles } from '../../data/files.ts';
import { openImageFolder } from '../../data/image-folder.ts';
import { createInlinePool } from '../../data/loader/inline-pool.ts';
import { evalTransforms } from '../../image/eval-transform.ts';
import { createPortableDecoder } from '../../image/portable-decoder.ts';
import { namedRecipe } from '../recipe/recipes.ts';
import { classData } from './class-data.ts';

const pool = createInlinePool(createPortableDecoder({ advice: '' }));
const contents = new Map<string, Uint8Array>();
for (let index = 0; index < 14; index++) {
  const bytes = index === 13 ? new Uint8Array(2) : pngOf(seededImage(20, 18, index + 1));
  contents.set(`${index < 9 ? 'train' : 'val'}/${'ab'[index % 2]}/${index}.png`, bytes);
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

test('a folder as a run takes it: whole training batches, every validation picture with its label', async () => {
  const splits = await openImageFolder(memoryFiles('photos', contents));
  const { augment } = namedRecipe('small', 's0');
  const data = classData(splits, pool, { augment, normalization: evalTransforms.apple, cacheBytes: 1e6 });
  assert.deepEqual([data.classes, data.trainCount, data.validationCount], [2, 9, 5]);
  const request = { epoch: 2, from: 0, batch: 4, size: 16, strength: 0.5 };
  const batches = await all(data.trainBatches(request));
  assert.deepEqual(
    batches.map(({ images, targets }) => [images.shape, targets.shape]),
    [
      [
        [4, 16, 16, 3],
        [4, 2],
      ],
      [
        [4, 16, 16, 3],
        [4, 2],
      ],
    ],
  );
  const rest = await all(data.trainBatches({ ...request, from: 1 }));
  assert.deepEqual(rest[0]?.images, batches[1]?.images);
  const grown = await all(data.trainBatches({ ...request, size: 24 }));
  assert.deepEqual(grown[0]?.images.shape, [4, 24, 24, 3]);
  assert.equal(data.stats().train?.cachedPictures, 8, 'of one epoch without its rest');

  const judged = await all(data.validationBatches({ batch: 3, size: 16, resize: 18 }));
  assert.deepEqual(
    judged.map(({ indices }) => [Array.from(indices, data.labelOf), Array.from(indices)]),
    [
      [
        [0, 0, 1],
        [0, 1, 2],
      ],
      [
        [-1, 1, -1],
        [-1, 4, -1],
      ],
    ],
  );
  assert.match(data.stats().val?.broken[0]?.path ?? '', /13\.png/);
});
