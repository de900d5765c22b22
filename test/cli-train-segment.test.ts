import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { annotatedFiles } from '../src/data/procedural/annotated-files.ts';
import { createCliFolder } from './support/cli.ts';
import { makePng } from './support/png.ts';

const folder = await createCliFolder();
after(() => folder.remove());

const scenes = annotatedFiles({
  ...{ train: 9, val: 3, seed: 1, annotations: 'masks', width: 40, height: 32, kinds: ['circle'] },
  ...{ radius: [0.25, 0.4], occluders: 0 },
});
for (const file of (await scenes.list()).files) {
  const place = join(folder.path, 'scenes', file);
  await mkdir(dirname(place), { recursive: true });
  await writeFile(place, await scenes.read(file));
}
const small = makePng({ width: 2, height: 2, colourType: 0, rows: new Uint8Array(6) });
await writeFile(join(folder.path, 'scenes', 'train', 'masks', '000004.png'), small);

const tiny = ['--engine', 'reference', '--width', '0.05', '--branches', '1', '--head-channels', '4'];
const run = (...more: readonly string[]) =>
  folder.run(['train', ...more, '--workers', '0', '--batch', '4', '--size', '32']);

test('masks are recognized, faults told and left out; the run, its model and going on', async () => {
  const trained = await run('scenes', ...tiny, '--epochs', '2', '--out', 'run', '--json');
  assert.equal(trained.code, 0, trained.stderr);
  assert.match(trained.stderr, /masks, 2 classes, pictures: 8 train, 3 val/);
  assert.match(trained.stderr, /000004\.png: mask is 2×2, picture 40×32/);
  assert.match(trained.stderr, /segmentation \(DeepLabV3\)/);
  const lines = trained.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(lines.length, 3);
  assert.ok(lines[2].mIoU > 0 && lines[2].mIoU < 1, trained.stdout);
  const { task, head, transform } = JSON.parse(
    await readFile(join(folder.path, 'run', 'config.json'), 'utf8'),
  );
  assert.deepEqual([task, head.channels, head.background], ['segment', 4, 0]);
  assert.deepEqual(transform.resize, { kind: 'exact', width: 32, height: 32 });
  const report = await readFile(join(folder.path, 'run', 'report.html'), 'utf8');
  for (const part of ['mIoU', 'Worst pictures', 'Augmented batch']) assert.ok(report.includes(part), part);

  const seen = await folder.run([
    ...['predict', 'scenes/val/images/000000.png', '--model', 'run/model.safetensors'],
    ...['--engine', 'reference', '--out', 'drawn.png'],
  ]);
  assert.equal(seen.code, 0, seen.stderr);
  assert.match(seen.stdout, /ground|circle/);

  const again = await folder.run(['train', '--resume', 'run', '--engine', 'reference', '--workers', '0']);
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stderr, /going on after step 4/);
  const changed = await folder.run(['train', '--resume', 'run', '--head-channels', '8']);
  assert.notEqual(changed.code, 0);
  assert.match(changed.stderr, /leave out --head-channels/);
  const more = await run(
    'scenes',
    '--engine',
    'reference',
    '--from',
    'run/best.safetensors',
    '--epochs',
    '1',
    '--out',
    'more',
  );
  assert.equal(more.code, 0, more.stderr);
  assert.match(more.stderr, /train form;\s+fresh: nothing/);
});

test('faults of masks are told with their file; pictures without a pixel to learn from do no harm', async () => {
  const put = (name: string, data: Uint8Array | string) => writeFile(join(folder.path, 'bad', name), data);
  const grey = (value: number) => {
    const rows = Uint8Array.from({ length: 41 * 32 }, (_, i) => (i % 41 === 0 ? 0 : value));
    return makePng({ width: 40, height: 32, colourType: 0, rows });
  };
  for (const file of (await scenes.list()).files) {
    await mkdir(dirname(join(folder.path, 'bad', file)), { recursive: true });
    await put(file, await scenes.read(file));
  }
  await put('train/masks/000000.png', grey(77));
  await put('train/masks/000001.png', 'no picture');
  await rm(join(folder.path, 'bad/train/masks/000002.png'));
  await rm(join(folder.path, 'bad/train/images/000003.png'));
  // A whole batch of nothing, among others in the epoch.
  for (const n of [4, 5, 6, 7]) await put(`train/masks/00000${n}.png`, grey(255));
  await put('val/masks/000000.png', grey(255));
  const trained = await run('bad', ...tiny, '--batch', '1', '--epochs', '1', '--out', 'bad-run', '--json');
  assert.equal(trained.code, 0, trained.stderr);
  for (const [what, where] of [
    ['numbers that are no class', /000000\.png: 77 on 1280 pixels/],
    ['cannot be read', /masks\/000001\.png/],
    ['missing', /000002\.png: no mask for this picture/],
    ['missing', /masks\/000003\.png: no picture/],
    ['no object', /masks\/000004\.png: no pixel is of a class/],
  ] as const) {
    assert.ok(trained.stderr.includes(what), `${what} in ${trained.stderr}`);
    assert.match(trained.stderr, where);
  }
  const [first] = trained.stdout.split('\n').map((line) => JSON.parse(line || 'null'));
  assert.ok(Number.isFinite(first.trainLoss) && first.mIoU > 0, trained.stdout);
});

test('outlines of COCO objects are learned from when asked for, crowds and bare boxes told', async () => {
  const coco = annotatedFiles({
    ...{ train: 6, val: 2, seed: 1, annotations: 'boxes', width: 40, height: 32, kinds: ['circle'] },
    ...{ objects: [1, 2], occluders: 0 },
  });
  for (const file of (await coco.list()).files) {
    const place = join(folder.path, 'outlines', file);
    await mkdir(dirname(place), { recursive: true });
    const bytes = await coco.read(file);
    if (!file.endsWith('.json')) {
      await writeFile(place, bytes);
      continue;
    }
    const json = JSON.parse(new TextDecoder().decode(bytes));
    for (const [i, one] of json.annotations.entries()) {
      const [x, y, w, h] = one.bbox;
      if (i > 0) one.segmentation = [[x, y, x + w, y, x + w, y + h, x, y + h]];
      if (i === 1) one.iscrowd = 1;
    }
    await writeFile(place, JSON.stringify(json));
  }
  const options = [...tiny, '--task', 'segment', '--epochs', '1'] as const;
  const trained = await run('outlines', ...options, '--out', 'outlined', '--json');
  assert.equal(trained.code, 0, trained.stderr);
  assert.match(trained.stderr, /coco, 2 classes, pictures: 6 train, 2 val/);
  assert.match(trained.stderr, /background: 6 train, 2 val/);
  assert.match(trained.stderr, /box only[^\n]*\n\s+train\/boxes\.json annotation 1: /);
  assert.match(trained.stderr, /crowds[^\n]*\n\s+train\/boxes\.json annotation 2: /);
  const { labels, head } = JSON.parse(await readFile(join(folder.path, 'outlined', 'config.json'), 'utf8'));
  assert.deepEqual([labels, head.background], [['background', 'circle'], 0]);
  const judged = await folder.run([
    ...['val', 'outlined/model.safetensors', 'outlines', '--engine', 'reference', '--json'],
  ]);
  assert.equal(judged.code, 0, judged.stderr);
  assert.equal(JSON.parse(judged.stdout).count, 2);
  const boxes = await run('outlines', ...tiny, '--epochs', '1', '--out', 'boxed');
  assert.match(boxes.stderr, /SSDLite/);
});

test('what cannot be is said', async () => {
  const strict = await run('scenes', ...tiny, '--strict', '--out', 'strict');
  assert.match(strict.stderr, /1 faults in its annotations/);
  const boxes = await run('scenes', ...tiny, '--task', 'detect', '--out', 'boxes');
  assert.match(boxes.stderr, /found no detect annotations/);
  const recipe = await run('scenes', ...tiny, '--recipe', 'paper', '--out', 'recipe');
  assert.match(recipe.stderr, /not one for this task; there is small-segment/);
});
