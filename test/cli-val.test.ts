import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type CliFolder, createCliFolder, pictureFile, smallLabels, smallNetFile } from './support/cli.ts';

interface Verdict {
  readonly data: string;
  readonly naming: string;
  readonly forms: readonly {
    readonly form: string;
    readonly count: number;
    readonly top1: number;
    readonly top5: number;
    readonly classes: readonly {
      readonly className: string;
      readonly support: number;
      readonly recall: number | null;
    }[];
    readonly confusion: readonly (readonly number[])[];
  }[];
  readonly agreement: { readonly probability: number; readonly answers: number } | null;
  readonly broken: readonly { readonly path: string }[];
}

describe('mobileone val', { concurrency: 2 }, () => {
  let folder: CliFolder;
  const net = 'small.safetensors';
  const put = async (name: string, data: string | Uint8Array): Promise<void> => {
    const path = join(folder.path, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, data);
  };
  const verdictOf = async (...args: readonly string[]): Promise<Verdict> => {
    const { code, stdout, stderr } = await folder.run(['val', net, ...args, '--json']);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  };
  before(async () => {
    folder = await createCliFolder();
    await put(net, smallNetFile());
    for (let i = 0; i < 12; i++) await put(`photos/${['Bee', 'ant', 'dog'][i % 3]}/${i}.png`, pictureFile(i));
    for (let i = 0; i < 4; i++) await put(`parted/train/${i % 2}/${i}.png`, pictureFile(i));
    for (let i = 0; i < 3; i++) await put(`parted/val/${i % 2}/${i}.png`, pictureFile(20 + i));
    await put('strange/ant/1.png', pictureFile(1));
    await put('strange/beee/2.png', pictureFile(2));
    await put('broken/ant/1.png', pictureFile(1));
    await put('broken/bee/2.png', 'no picture');
  });
  after(() => folder.remove());

  test('top-1 and confusion are what "predict" answers one by one; both forms agree', async () => {
    const { stdout } = await folder.run(['predict', 'photos', '--weights', net, '--json']);
    const answers: { file: string; predLabel: number }[] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const truthOf = (file: string): number => smallLabels.indexOf((file.split('/')[1] ?? '').toLowerCase());
    const right = answers.filter(({ file, predLabel }) => truthOf(file) === predLabel).length;
    const { naming, forms, agreement, broken } = await verdictOf('photos', '--form', 'both', '--batch', '5');
    assert.deepEqual([naming, broken, forms.map(({ form }) => form)], ['labels', [], ['train', 'deploy']]);
    for (const { count, top1, top5, confusion, classes } of forms) {
      assert.deepEqual([count, top1, top5], [12, right / 12, 1]);
      for (const { file, predLabel } of answers) assert.ok((confusion[truthOf(file)]?.[predLabel] ?? 0) > 0);
      assert.deepEqual(
        classes.map(({ support }) => support),
        [4, 4, 0, 4, 0],
      );
      assert.deepEqual(
        classes.map(({ className }) => className),
        smallLabels,
      );
      assert.equal(classes[2]?.recall, null);
    }
    assert.equal(agreement?.answers, 0);
    assert.ok(agreement.probability < 1e-5);
  });

  test('parts: val by default, another when asked for, what training held out', async () => {
    const byDefault = await verdictOf('parted');
    assert.deepEqual(
      [byDefault.data, byDefault.naming, byDefault.forms[0]?.count],
      ['parted (val)', 'numbers', 3],
    );
    const { forms } = await verdictOf('parted', '--split', 'train');
    assert.equal(forms[0]?.count, 4);
    const held = await verdictOf('photos', '--hold-out', '0.25', '--workers', '0');
    assert.deepEqual([held.data, held.forms[0]?.count], ['photos (val)', 3]);
    const { code, stderr } = await folder.run(['val', net, 'photos', '--split', 'test']);
    assert.equal(code, 2);
    assert.match(stderr, /"photos" has no such part; it has train\./);
  });

  test('text tells the worst classes and mistakes; a report is saved', async () => {
    const { code, stdout, stderr } = await folder.run(['val', net, 'photos', '--save', 'result/deep']);
    assert.equal(code, 0);
    assert.match(stderr, /result\/deep\/report\.html/);
    for (const words of [
      /top-1 +\d+\.\d\d%/,
      /class +recall +precision +F1 +pictures/,
      /bee +\d/,
      /taken for/,
    ])
      assert.match(stdout, words);
    const saved = join(folder.path, 'result', 'deep');
    assert.deepEqual((await readdir(saved)).sort(), ['metrics.json', 'plots', 'report.html']);
    assert.deepEqual((await readdir(join(saved, 'plots'))).sort(), [
      'classes.svg',
      'confusion.svg',
      'worst-mistakes.svg',
    ]);
    assert.match(await readFile(join(saved, 'report.html'), 'utf8'), /<img src="data:image\/png/);
  });

  test('folders that are no labels, and pictures that are none', async () => {
    const strange = await folder.run(['val', net, 'strange']);
    assert.equal(strange.code, 1);
    assert.match(strange.stderr, /"beee" \(nearest: "bee"\)/);
    const broken = await folder.run(['val', net, 'broken', '--json']);
    assert.equal(broken.code, 1);
    assert.match(broken.stderr, /^bee\/2\.png: not a picture/m);
    const found: Verdict = JSON.parse(broken.stdout);
    assert.deepEqual([found.forms[0]?.count, found.broken.map(({ path }) => path)], [1, ['bee/2.png']]);
    const gone = await folder.run(['val', net, 'gone']);
    assert.match(gone.stderr, /"gone": expected a folder of class folders or a list file/);
    await put('labels.txt', 'one\ntwo\n');
    const few = await folder.run(['val', net, 'photos', '--labels', 'labels.txt']);
    assert.deepEqual([few.code, few.stdout], [2, '']);
    assert.match(few.stderr, /5 classes, but 2 labels/);
  });
});
