import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DataError } from '../errors.ts';
import type { ClassDataset } from './dataset.ts';
import { memoryFiles } from './files.ts';
import { openImageFolder } from './image-folder.ts';

const folder = (...paths: string[]) =>
  memoryFiles('photos', new Map(paths.map((path) => [path, new Uint8Array()])));
const paths = (dataset: ClassDataset | undefined) => dataset?.samples.map(({ path }) => path);

test('class folders, nested ones included, in code-unit order; a tenth is held out', async () => {
  const many = Array.from({ length: 20 }, (_, i) => `dog/${i}.jpg`);
  const data = await openImageFolder(folder('cat/a.jpg', 'cat/more/deep/b.PNG', 'Zebra/c.webp', ...many));
  assert.deepEqual(data.classes, ['Zebra', 'cat', 'dog']);
  assert.equal(data.valSource, 'held out');
  assert.equal(data.val?.samples.filter(({ target }) => target === 2).length, 2);
  assert.equal(data.val?.samples.filter(({ target }) => target === 1).length, 1, 'one of two');
  assert.equal(data.val?.samples.filter(({ target }) => target === 0).length, 0, 'a single picture stays');
  const all = [...(paths(data.train) ?? []), ...(paths(data.val) ?? [])].sort();
  assert.deepEqual(all, ['Zebra/c.webp', 'cat/a.jpg', 'cat/more/deep/b.PNG', ...many].sort());
});

test('train and val folders, under any of their names; other files are named', async () => {
  const data = await openImageFolder(
    folder(
      'training/a/1.jpg',
      'training/b/2.jpg',
      'valid/a/3.jpg',
      'notes.txt',
      'training/4.jpg',
      'more/a/5.jpg',
      'training/a/.DS_Store',
      'training/a/read.me',
      'training/empty/',
    ),
  );
  assert.deepEqual(data.classes, ['a', 'b', 'empty']);
  assert.deepEqual(paths(data.train), ['training/a/1.jpg', 'training/b/2.jpg']);
  assert.deepEqual(paths(data.val), ['valid/a/3.jpg']);
  assert.equal(data.valSource, 'val');
  assert.deepEqual(
    data.ignored.map(({ path }) => path),
    ['more/a/5.jpg', 'notes.txt', 'training/4.jpg', 'training/a/read.me'],
  );
});

test('train and test: test validates, unless a share to hold out is asked for', async () => {
  const files = folder('train/a/1.jpg', 'train/a/2.jpg', 'train/b/3.jpg', 'train/b/4.jpg', 'test/b/5.jpg');
  const data = await openImageFolder(files);
  assert.equal(data.valSource, 'test');
  assert.deepEqual(paths(data.val), ['test/b/5.jpg']);
  const held = await openImageFolder(files, { holdOut: 0.5 });
  assert.equal(held.valSource, 'held out');
  assert.deepEqual([held.train.samples.length, held.val?.samples.length], [2, 2]);
  assert.deepEqual(paths(held.test), ['test/b/5.jpg']);
  assert.equal((await openImageFolder(files, { holdOut: 0 })).valSource, 'none');
});

test('a class may be called train', async () => {
  const data = await openImageFolder(folder('train/1.jpg', 'plane/2.jpg'), { holdOut: 0 });
  assert.deepEqual(data.classes, ['plane', 'train']);
});

test('a class that only val has, and a folder without pictures, are refused with their names', async () => {
  await assert.rejects(openImageFolder(folder('train/a/1.jpg', 'val/b/2.jpg')), (error) => {
    assert.ok(error instanceof DataError);
    assert.match(error.message, /photos.*val part.*\(b\)/);
    return true;
  });
  await assert.rejects(
    openImageFolder(folder('1.jpg', 'a/')),
    /found no picture.*1\.jpg.*not in a class folder/,
  );
  await assert.rejects(openImageFolder(folder()), DataError);
});

test('what is held out depends on the seed, and adding a picture moves no others', async () => {
  const names = Array.from({ length: 100 }, (_, i) => `a/${i}.jpg`);
  const held = async (seed: number, list: string[]) =>
    new Set(paths((await openImageFolder(folder('b/x.jpg', ...list), { holdOut: 0.2, seed })).val));
  const first = await held(1, names);
  assert.deepEqual(await held(1, [...names].reverse()), first);
  assert.notDeepEqual(await held(2, names), first);
  const grown = await held(1, [...names, 'a/new1.jpg']);
  assert.ok([...first].filter((path) => !grown.has(path)).length <= 1);
  for (const fraction of [-0.1, 1, Number.NaN])
    await assert.rejects(openImageFolder(folder('a/1.jpg'), { holdOut: fraction }), DataError);
});
