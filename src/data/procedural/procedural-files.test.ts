import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DataError } from '../../errors.ts';
import { decodePng } from '../../image/png.ts';
import { openImageFolder } from '../image-folder.ts';
import { proceduralFiles } from './procedural-files.ts';

test('procedural scenes open as a folder of class folders', async () => {
  const options = { train: 10, val: 4, seed: 1, width: 24, height: 20, kinds: ['star', 'circle'] } as const;
  const { classes, train, val, valSource, ignored } = await openImageFolder(proceduralFiles(options));
  assert.deepEqual([classes, valSource, ignored], [['circle', 'star'], 'val', []]);
  assert.deepEqual([train.samples.length, val?.samples.length], [10, 4]);
  const [first] = train.samples;
  assert.deepEqual(first, { path: 'train/circle/000001.png', target: 0 });
  const bytes = await train.files.read(first.path);
  assert.deepEqual([(await decodePng(bytes)).width, (await decodePng(bytes)).height], [24, 20]);
  assert.deepEqual(await proceduralFiles(options).read(first.path), bytes);
  assert.notDeepEqual(await train.files.read('val/circle/000001.png'), bytes, 'parts differ');
  await assert.rejects(train.files.read('train/circle/000002.png'), DataError);
});
