import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { golden, skipWithout } from '../../../test/support/shared.ts';
import { checkDataset } from '../../data/check-dataset.ts';
import { DataError } from '../../errors.ts';
import { folderFiles, openDataPath } from './folder-files.ts';
import { createNodeDecoder } from './image-decoder.ts';

test('a folder on disk: nested and empty folders, links once, lists beside pictures', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'mobileone-data-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  await mkdir(join(root, 'a', 'deep'), { recursive: true });
  await mkdir(join(root, 'empty'));
  await writeFile(join(root, 'a', 'deep', '1.jpg'), 'one');
  await writeFile(join(root, 'list.csv'), 'a/deep/1.jpg,cat\n');
  await symlink('..', join(root, 'a', 'loop'));
  await symlink('nowhere', join(root, 'a', 'gone.jpg'));
  const files = folderFiles(root);
  assert.deepEqual(await files.list(), {
    files: ['a/deep/1.jpg', 'a/gone.jpg', 'list.csv'],
    folders: ['a', 'a/deep', 'a/loop', 'empty'],
  });
  assert.equal(new TextDecoder().decode(await files.read('a/deep/1.jpg')), 'one');
  await assert.rejects(
    files.read('a/gone.jpg'),
    (error) => error instanceof DataError && /gone\.jpg/.test(error.message),
  );
  const listed = await openDataPath(join(root, 'list.csv'), { holdOut: 0 });
  assert.deepEqual([listed.classes, listed.train.samples], [['cat'], [{ path: 'a/deep/1.jpg', target: 0 }]]);
  await assert.rejects(openDataPath(join(root, 'missing')), DataError);
});

test('a set of photos: counts as its source says', { skip: skipWithout('data', 'cls-grocery') }, async () => {
  const data = await openDataPath(golden('data', 'cls-grocery'));
  assert.equal(data.classes.length, 20);
  assert.deepEqual([data.train.samples.length, data.val?.samples.length, data.valSource], [1905, 211, 'val']);
});

test('a small set of photos: nothing is wrong with it', {
  skip: skipWithout('data', 'tiny', 'cls'),
}, async () => {
  const data = await openDataPath(golden('data', 'tiny', 'cls'));
  const report = await checkDataset(data, await createNodeDecoder());
  assert.deepEqual([report.broken, report.duplicates, report.emptyClasses], [[], [], []]);
  assert.deepEqual(
    report.splits.map(({ perClass }) => perClass),
    [
      [24, 24, 24, 24],
      [5, 5, 5, 5],
    ],
  );
});
