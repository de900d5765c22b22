import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makePng } from '../../test/support/png.ts';
import { DataError } from '../errors.ts';
import { createPortableDecoder } from '../image/portable-decoder.ts';
import { checkDataset } from './check-dataset.ts';
import { describeDataReport, requireTrainable } from './data-report.ts';
import { memoryFiles } from './files.ts';
import { openImageFolder } from './image-folder.ts';

const decoder = createPortableDecoder({ advice: '' });

/** A PNG whose rows are all `shade`, so that equal shades and sizes are equal files. */
const png = (shade: number, width = 4, height = 3): Uint8Array =>
  makePng({
    width,
    height,
    rows: Uint8Array.from({ length: height * (width * 3 + 1) }, (_, i) =>
      i % (width * 3 + 1) === 0 ? 0 : shade,
    ),
  });

const check = async (contents: Record<string, Uint8Array>) => {
  const data = await openImageFolder(memoryFiles('photos', new Map(Object.entries(contents))), {
    holdOut: 0,
  });
  return checkDataset(data, decoder);
};

test('counts, broken files, duplicates, other files and empty classes are found and said', async () => {
  const report = await check({
    'train/a/1.png': png(1),
    'train/a/2.png': png(2),
    'train/a/2again.png': png(2),
    'train/a/3.png': png(3, 9, 8),
    'train/a/4.png': png(4),
    'train/b/1.png': png(10),
    'train/b/bad.jpg': new TextEncoder().encode('this is text'),
    'train/b/cut.png': png(11).subarray(0, 45),
    'train/b/asA.png': png(1),
    'train/c/': new Uint8Array(),
    'val/a/1.png': png(3, 9, 8),
    'val/b/5.png': png(12),
    'readme.txt': new Uint8Array(),
  });
  assert.deepEqual(report.classes, ['a', 'b', 'c']);
  assert.deepEqual(report.splits, [
    { split: 'train', pictures: 9, perClass: [5, 4, 0] },
    { split: 'val', pictures: 2, perClass: [1, 1, 0] },
  ]);
  assert.deepEqual(
    report.broken.map(({ path }) => path),
    ['train/b/bad.jpg', 'train/b/cut.png'],
  );
  assert.match(report.broken[0]?.reason ?? '', /not a picture/);
  assert.deepEqual(report.duplicates, [
    { kind: 'different classes', paths: ['train/a/1.png', 'train/b/asA.png'] },
    { kind: 'same class', paths: ['train/a/2.png', 'train/a/2again.png'] },
    { kind: 'across parts', paths: ['train/a/3.png', 'val/a/1.png'] },
  ]);
  assert.deepEqual(report.emptyClasses, ['c']);
  assert.deepEqual(report.unvalidatedClasses, ['c']);
  assert.equal(report.imbalance, 5 / 4);
  assert.deepEqual(report.shortSide, { min: 3, median: 3, max: 8 });
  const text = describeDataReport(report).join('\n');
  for (const part of [
    /3 classes, 9 train, 2 val/,
    /2 broken/,
    /bad\.jpg/,
    /across|more than one part/,
    /readme\.txt/,
    /without training pictures:\n {2}c/,
  ])
    assert.match(text, part);
  requireTrainable(report);
});

test('one class and only broken pictures cannot be trained on', async () => {
  const one = await check({ 'a/1.png': png(1), 'a/2.png': png(2), 'b/': new Uint8Array() });
  assert.throws(
    () => requireTrainable(one),
    (error) => error instanceof DataError && /found one \("a"\)/.test(error.message),
  );
  const broken = await check({ 'a/1.png': new Uint8Array(3), 'b/2.png': new Uint8Array(4) });
  assert.throws(() => requireTrainable(broken), /none of 2 pictures can be decoded.*a\/1\.png/);
});

test('imbalance is said; progress is told; an abort ends it', async () => {
  const contents: Record<string, Uint8Array> = { 'b/1.png': png(200) };
  for (let i = 0; i < 8; i++) contents[`a/${i}.png`] = png(i);
  const report = await check(contents);
  assert.equal(report.imbalance, 8);
  assert.match(describeDataReport(report).join('\n'), /8\.0 times/);
  const data = await openImageFolder(memoryFiles('photos', new Map(Object.entries(contents))), {
    holdOut: 0,
  });
  const told: number[] = [];
  await checkDataset(data, decoder, { onProgress: (done) => told.push(done) });
  assert.deepEqual(told, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const controller = new AbortController();
  controller.abort(new Error('stopped'));
  await assert.rejects(checkDataset(data, decoder, { signal: controller.signal }), /stopped/);
});
