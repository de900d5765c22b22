import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { annotatedFiles } from '../src/data/procedural-annotated.ts';
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

test('what cannot be is said', async () => {
  const strict = await run('scenes', ...tiny, '--strict', '--out', 'strict');
  assert.match(strict.stderr, /1 faults in its annotations/);
  const boxes = await run('scenes', ...tiny, '--task', 'detect', '--out', 'boxes');
  assert.match(boxes.stderr, /found no detect annotations/);
  const recipe = await run('scenes', ...tiny, '--recipe', 'paper', '--out', 'recipe');
  assert.match(recipe.stderr, /not one for this task; there is small-segment/);
});
