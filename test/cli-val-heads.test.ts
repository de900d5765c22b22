import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { annotatedFiles } from '../src/data/procedural/annotated-files.ts';
import { encodePng } from '../src/image/encode-png.ts';
import { loadDetector } from '../src/node.ts';
import { encodeHeadNet } from '../src/task/head-checkpoint.ts';
import { type CliFolder, createCliFolder } from './support/cli.ts';
import { randomDetector, randomSegmenter, scenePicture } from './support/head-nets.ts';

interface Answer {
  readonly task: string;
  readonly count: number;
  readonly naming: string;
  readonly annotations: {
    readonly counts: Readonly<Record<string, number>>;
    readonly findings: readonly { readonly kind: string; readonly where: string }[];
  };
  readonly broken: readonly { readonly path: string }[];
  readonly forms: readonly {
    readonly form: string;
    readonly AP: number;
    readonly AP50: number;
    readonly meanIou: number;
    readonly pixelAccuracy: number;
    readonly confusion: readonly (readonly number[])[];
    readonly classes: readonly {
      readonly className: string;
      readonly categoryId?: number;
      readonly objects: number;
      readonly AP: number;
    }[];
  }[];
}

const kinds = ['circle', 'star', 'cross'] as const;
const scenes = { width: 60, height: 50, objects: [1, 3], kinds, seed: 1 } as const;

describe('mobileone val with detectors and segmenters', { concurrency: 2 }, () => {
  let folder: CliFolder;
  const at = (name: string): string => join(folder.path, name);
  const put = async (name: string, data: string | Uint8Array): Promise<void> => {
    await mkdir(dirname(at(name)), { recursive: true });
    await writeFile(at(name), data);
  };
  const verdict = async (...args: readonly string[]): Promise<Answer> => {
    const { code, stdout, stderr } = await folder.run(['val', ...args, '--json']);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  };
  before(async () => {
    folder = await createCliFolder();
    const detector = randomDetector();
    await put('detect.safetensors', encodeHeadNet({ ...detector, name: 'shapes' }));
    await put('segment.safetensors', encodeHeadNet({ ...(await randomSegmenter()), name: 'grounds' }));
    for (const annotations of ['boxes', 'masks'] as const) {
      const files = annotatedFiles({ ...scenes, train: 2, val: 5, annotations });
      for (const path of (await files.list()).files)
        await put(`${annotations}/${path}`, await files.read(path));
    }
    await writeOwnAnswers();
  });
  after(() => folder.remove());

  /** Pictures whose truth is what the net itself is surest of, in COCO's form with ids that have gaps. */
  async function writeOwnAnswers(): Promise<void> {
    const net = await loadDetector(at('detect.safetensors'));
    const [images, annotations]: [object[], object[]] = [[], []];
    for (let id = 1; id <= 4; id++) {
      const picture = scenePicture(90, 70 + id, id);
      await put(`own/images/${id}.png`, await encodePng(picture));
      images.push({ id, file_name: `${id}.png`, width: 90, height: 70 + id });
      for (const { label, box } of await net.detect(picture, { leastScore: 0.5, most: 100 })) {
        const bbox = [box.x, box.y, box.width, box.height];
        const category_id = [7, 3, 90][label];
        annotations.push({ id: annotations.length, image_id: id, category_id, bbox, iscrowd: 0 });
      }
    }
    net.dispose();
    const categories = [
      { id: 90, name: 'cross' },
      { id: 7, name: 'circle' },
      { id: 3, name: 'star' },
    ];
    await put('own/annotations.json', JSON.stringify({ images, annotations, categories }));
  }

  test('a detector judged by its own surest answers is perfect at IoU 0.5, whatever the order of classes', async () => {
    const { task, count, forms, naming } = await verdict('detect.safetensors', 'own', '--form', 'both');
    assert.deepEqual(
      [task, count, naming, forms.map(({ form }) => form)],
      ['detect', 4, 'labels', ['train', 'deploy']],
    );
    for (const { AP50, classes } of forms) {
      assert.ok(AP50 > 0.999, `${AP50}`);
      assert.deepEqual(
        classes.map(({ className }) => className),
        ['circle', 'star', 'cross'],
      );
      assert.deepEqual(
        classes.map(({ categoryId }) => categoryId),
        [7, 3, 90],
      );
      assert.ok(classes.some(({ objects }) => objects > 0));
    }
  });

  test('the part for validation by default, another when asked for; a report with curves and pictures', async () => {
    const { count } = await verdict('detect.safetensors', 'boxes');
    assert.equal(count, 5);
    const { code, stdout, stderr } = await folder.run(
      ['val', 'detect.safetensors', 'boxes', '--split', 'train', '--save', 'result'],
      { COLUMNS: '44' },
    );
    assert.equal(code, 0, stderr);
    assert.match(stdout, /AP at IoU 0\.50/);
    assert.match(stdout, /pictures\s+2\n/);
    assert.ok(
      stdout.split('\n').every((line) => line.length <= 44),
      stdout,
    );
    const plots = (await readdir(at('result/plots'))).sort();
    assert.deepEqual(plots, ['examples.svg', 'precision-recall.svg', 'worst-pictures.svg']);
    const page = await readFile(at('result/report.html'), 'utf8');
    assert.match(page, /Precision over recall/);
    const saved: Answer = JSON.parse(await readFile(at('result/metrics.json'), 'utf8'));
    assert.equal(saved.count, 2);
  });

  test('a segmenter: mIoU, confusion of all pixels, and a report', async () => {
    const { task, count, forms } = await verdict('segment.safetensors', 'masks', '--save', 'segmented');
    assert.deepEqual([task, count], ['segment', 5]);
    const [form] = forms;
    const pixels = form?.confusion.flat().reduce((sum, value) => sum + value, 0);
    assert.equal(pixels, 5 * 60 * 50);
    const right = form?.confusion.reduce((sum, row, i) => sum + (row[i] ?? 0), 0) ?? 0;
    assert.ok(Math.abs((form?.pixelAccuracy ?? 0) - right / (5 * 60 * 50)) < 1e-12);
    assert.ok((await readdir(at('segmented/plots'))).includes('worst-pictures.svg'));
    const zero = await verdict('segment.safetensors', 'masks', '--absent', 'zero');
    assert.ok((zero.forms[0]?.meanIou ?? 1) <= (form?.meanIou ?? 0));
  });

  test('bad annotations and pictures are told with file and id, left out, or stopped at', async () => {
    const json = JSON.parse(await readFile(at('boxes/val/boxes.json'), 'utf8'));
    const [first, , third, gone] = json.images;
    json.annotations.push(
      { id: 901, image_id: first.id, category_id: json.categories[0].id, bbox: [50, 40, 100, 100] },
      { id: 902, image_id: first.id, category_id: json.categories[0].id, bbox: [500, 40, 10, 10] },
      { id: 903, image_id: first.id, category_id: json.categories[0].id, bbox: [5, 5, 0, 10] },
      { id: 904, image_id: first.id, category_id: 77, bbox: [5, 5, 10, 10] },
      { id: 905, image_id: first.id, category_id: json.categories[0].id, bbox: [0, 0, 30, 30], iscrowd: 1 },
    );
    json.annotations = json.annotations.filter((one: { image_id: number }) => one.image_id !== third.id);
    // The training part has a picture of every name: none of them may stand in for the missing one.
    const files = annotatedFiles({ ...scenes, train: 5, val: 5, annotations: 'boxes' });
    for (const path of (await files.list()).files) await put(`bad/${path}`, await files.read(path));
    await put('bad/val/boxes.json', JSON.stringify(json));
    await rm(at(`bad/val/images/${gone.file_name.split('/').at(-1)}`));
    const { count, annotations } = await verdict('detect.safetensors', 'bad');
    assert.equal(count, 4);
    assert.deepEqual(annotations.counts, {
      missing: 1,
      'box-clipped': 1,
      'box-outside': 1,
      'zero-area': 1,
      'unknown-category': 1,
      empty: 1,
      crowd: 1,
    });
    assert.ok(annotations.findings.some(({ where }) => /boxes\.json annotation 903/.test(where)));
    const strict = await folder.run(['val', 'detect.safetensors', 'bad', '--strict']);
    assert.notEqual(strict.code, 0);
    assert.match(strict.stderr, /faults in its annotations/);
  });

  test('masks of a wrong size are left out; a class the net does not know, and options for classifiers, are refused', async () => {
    const files = annotatedFiles({ ...scenes, train: 2, val: 4, annotations: 'masks' });
    for (const path of (await files.list()).files) await put(`wrong/${path}`, await files.read(path));
    const other = annotatedFiles({ ...scenes, width: 20, train: 2, val: 4, annotations: 'masks' });
    await put('wrong/val/masks/000001.png', await other.read('val/masks/000001.png'));
    const { count, annotations } = await verdict('segment.safetensors', 'wrong');
    assert.deepEqual([count, annotations.counts], [3, { 'mask-size': 1 }]);
    const strange = annotatedFiles({ ...scenes, kinds: ['heart'], train: 2, val: 2, annotations: 'boxes' });
    for (const path of (await strange.list()).files) await put(`hearts/${path}`, await strange.read(path));
    const unknown = await folder.run(['val', 'detect.safetensors', 'hearts']);
    assert.notEqual(unknown.code, 0);
    assert.match(unknown.stderr, /heart/);
    const option = await folder.run(['val', 'detect.safetensors', 'boxes', '--input-size', '64']);
    assert.match(option.stderr, /--input-size/);
  });
});
