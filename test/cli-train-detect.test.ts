import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { annotatedFiles } from '../src/data/procedural/annotated-files.ts';
import { type CliFolder, createCliFolder, smallNetFile } from './support/cli.ts';

const tiny = ['--engine', 'reference', '--width', '0.05', '--branches', '1'];
const short = ['--workers', '0', '--batch', '4', '--size', '32', '--epochs', '1'];

interface Coco {
  readonly images: { readonly id: number; readonly file_name: string; width: number; height: number }[];
  annotations: { id: number; image_id: number; category_id: number; bbox: number[]; iscrowd?: number }[];
  readonly categories: readonly { id: number; readonly name: string }[];
}

describe('mobileone train --task detect', { concurrency: 2 }, () => {
  let folder: CliFolder;
  const at = (...path: readonly string[]): string => join(folder.path, ...path);
  const put = async (name: string, data: string | Uint8Array): Promise<void> => {
    await mkdir(dirname(at(name)), { recursive: true });
    await writeFile(at(name), data);
  };
  const scenes = annotatedFiles({
    ...{ train: 10, val: 3, seed: 1, annotations: 'boxes', width: 48, height: 40 },
    ...{ kinds: ['circle', 'cross'], objects: [1, 2], occluders: 0 },
  });
  const putScenes = async (root: string): Promise<Coco> => {
    for (const file of (await scenes.list()).files) await put(`${root}/${file}`, await scenes.read(file));
    return JSON.parse(await readFile(at(root, 'train/boxes.json'), 'utf8'));
  };
  before(async () => {
    folder = await createCliFolder();
    await put('small.safetensors', smallNetFile());
  });
  after(() => folder.remove());

  test('bad annotations are told with file and id, and training goes on; or stops', async () => {
    const json = await putScenes('bad');
    const [first, second, third, fourth] = json.images;
    assert.ok(first && second && third && fourth);
    const bad = (id: number, bbox: number[], more: object = {}) => ({
      ...{ id, image_id: first.id, category_id: json.categories[0]?.id ?? 0, bbox, iscrowd: 0 },
      ...more,
    });
    json.annotations = json.annotations.filter(({ image_id }) => image_id !== second.id);
    json.annotations.push(
      bad(901, [40, 30, 90, 90]),
      bad(902, [-50, 3, 10, 10]),
      bad(903, [3, 3, 10, 0]),
      bad(904, [3, 3, 10, 10], { category_id: 55 }),
      bad(905, [0, 0, 40, 30], { iscrowd: 1 }),
      bad(906, [3, 3, 10, 10], { image_id: 777 }),
      bad(907, [3, 3, 0.001, 0.001]),
    );
    // Numbers that are no labels.
    for (const one of json.annotations) if (one.category_id !== 55) one.category_id += 40;
    for (const one of json.categories) one.id += 40;
    third.width = 999;
    await put('bad/train/boxes.json', JSON.stringify(json));
    await rm(at('bad/train/images', fourth.file_name.split('/').at(-1) ?? ''));
    await put('bad/train/images/000009.png', 'no picture');
    const { code, stderr, stdout } = await folder.run([
      'train',
      'bad',
      ...tiny,
      ...short,
      '--out',
      'run',
      '--json',
    ]);
    assert.equal(code, 0, stderr);
    for (const [what, where] of [
      ['reach outside', /boxes\.json annotation 901: /],
      ['lie outside', /boxes\.json annotation 902: /],
      ['no area', /boxes\.json annotation 903: /],
      ['unknown category', /boxes\.json annotation 904: category_id 55/],
      ['crowds', /boxes\.json annotation 905: /],
      ['missing', /boxes\.json annotation 906: /],
      ['not of the annotated size', /annotated 999×40/],
      ['no object', /boxes\.json image /],
      ['cannot be read', /000009\.png/],
    ] as const) {
      assert.ok(stderr.includes(what), `${what} in ${stderr}`);
      assert.match(stderr, where);
    }
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.ok(Number.isFinite(lines[0].trainLoss), stdout);
    const report = await readFile(at('run/report.html'), 'utf8');
    for (const part of ['mAP50', 'Augmented batch', 'Precision over recall'])
      assert.ok(report.includes(part), part);
    const seen = await folder.run([
      ...['predict', 'bad/val/images/000000.png', '--model', 'run/model.safetensors'],
      ...['--engine', 'reference', '--score', '0.01', '--json'],
    ]);
    const ids = json.categories.map(({ id }) => id);
    const { results } = JSON.parse(seen.stdout);
    assert.ok(results.length > 0);
    assert.ok(
      results.every((one: { category_id: number }) => ids.includes(one.category_id)),
      seen.stdout,
    );
    const strict = await folder.run(['train', 'bad', ...tiny, ...short, '--strict', '--out', 'none']);
    assert.notEqual(strict.code, 0);
    assert.match(strict.stderr, /faults in its annotations/);
  });

  test('nothing but empty annotations and crowds: told, learned from, judged without objects', async () => {
    const json = await putScenes('nothing');
    json.annotations = json.annotations.filter(({ image_id }) => image_id === json.images[0]?.id);
    for (const one of json.annotations) one.iscrowd = 1;
    await put('nothing/train/boxes.json', JSON.stringify(json));
    await put('nothing/val/boxes.json', JSON.stringify({ ...json, annotations: [] }));
    const { code, stderr, stdout } = await folder.run([
      ...['train', 'nothing', ...tiny, ...short, '--out', 'nothing-run', '--json'],
    ]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /9 pictures have no object|12 pictures have no object/);
    assert.match(stderr, /objects are crowds/);
    const [first] = stdout.split('\n').map((line) => JSON.parse(line || 'null'));
    assert.deepEqual([first.trainLoss, first.mAP], [0, null], stdout);
  });

  test('Pascal VOC from a classifier’s backbone: the run goes on, its model predicts and is judged', async () => {
    const json = await putScenes('scenes');
    const names = new Map(json.categories.map(({ id, name }) => [id, name]));
    for (const part of ['train', 'val'] as const) {
      const { images, annotations }: Coco = JSON.parse(
        await readFile(at('scenes', part, 'boxes.json'), 'utf8'),
      );
      const stems = images.map(({ id }) => `${part}${id}`);
      for (const { id, file_name, width, height } of images) {
        await put(
          `voc/JPEGImages/${part}${id}.png`,
          await scenes.read(`${part}/images/${file_name.split('/').at(-1)}`),
        );
        const objects = annotations
          .filter(({ image_id }) => image_id === id)
          .map(
            ({ category_id, bbox: [x = 0, y = 0, w = 0, h = 0] }) =>
              `<object><name>${names.get(category_id)}</name><difficult>0</difficult><bndbox><xmin>${x + 1}</xmin><ymin>${y + 1}</ymin><xmax>${x + w}</xmax><ymax>${y + h}</ymax></bndbox></object>`,
          );
        const size = `<size><width>${width}</width><height>${height}</height><depth>3</depth></size>`;
        await put(
          `voc/Annotations/${part}${id}.xml`,
          `<annotation><filename>${part}${id}.png</filename>${size}${objects.join('')}</annotation>`,
        );
      }
      await put(`voc/ImageSets/Main/${part}.txt`, `${stems.join('\n')}\n`);
    }
    const trained = await folder.run([
      'train',
      'voc',
      '--task',
      'detect',
      '--from',
      'small.safetensors',
      '--engine',
      'reference',
      ...short,
      '--out',
      'voc-run',
      '--no-report',
    ]);
    assert.equal(trained.code, 0, trained.stderr);
    assert.match(trained.stderr, /voc, 2 classes, pictures: 10 train, 3 val/);
    assert.match(trained.stderr, /fresh: ssd/);
    assert.match(trained.stdout, /mAP /);
    const seen = await folder.run([
      'predict',
      'voc/JPEGImages/val1.png',
      '--model',
      'voc-run/model.safetensors',
      '--engine',
      'reference',
      '--score',
      '0.01',
      '--json',
    ]);
    assert.equal(seen.code, 0, seen.stderr);
    const judged = await folder.run([
      'val',
      'voc-run/model.safetensors',
      'voc',
      '--engine',
      'reference',
      '--json',
    ]);
    assert.equal(judged.code, 0, judged.stderr);
    assert.equal(JSON.parse(judged.stdout).count, 3);
    const again = await folder.run([
      'train',
      '--resume',
      'voc-run',
      '--engine',
      'reference',
      '--workers',
      '0',
    ]);
    assert.equal(again.code, 0, again.stderr);
    const changed = await folder.run(['train', '--resume', 'voc-run', '--anchors', 'data']);
    assert.match(changed.stderr, /leave out --anchors/);
  });
});
