import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { bf16Row } from '../src/kernel/bf16/inference/bf16-convolution.ts';
import { nodeMachines } from '../src/platform/node/cpu-engine.ts';
import { nativeSupport } from '../src/platform/node/executable-memory-machine.ts';
import { appleS0File } from './support/apple-s0.ts';
import {
  type CliFolder,
  cliPath,
  collect,
  createCliFolder,
  pictureFile,
  smallLabels,
  smallNetFile,
} from './support/cli.ts';
import { golden, skipWithout } from './support/shared.ts';

interface Answer {
  readonly file: string;
  readonly predLabel: number;
  readonly predScore: number;
  readonly predClass: string;
  readonly top: readonly { readonly label: number; readonly className: string; readonly score: number }[];
}

const answers = (stdout: string): readonly Answer[] =>
  stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

const withoutScript =
  spawnSync('script', ['--version']).status === 0 ? false : 'no "script" to give a terminal';

const withoutBf16 = nodeMachines(await nativeSupport()).some(({ target }) => bf16Row(target))
  ? false
  : 'no bf16 products on this processor';

describe('mobileone predict', { concurrency: 2 }, () => {
  let folder: CliFolder;
  const net = ['--weights', 'small.safetensors'];
  before(async () => {
    folder = await createCliFolder();
    const put = (name: string, data: string | Uint8Array) => writeFile(join(folder.path, name), data);
    await mkdir(join(folder.path, 'photos', 'deep'), { recursive: true });
    await mkdir(join(folder.path, 'empty'));
    await put('small.safetensors', smallNetFile());
    await put('photos/b.png', pictureFile(1));
    await put('photos/a.PNG', pictureFile(2, 31, 47));
    await put('photos/deep/c.png', pictureFile(3));
    await put('photos/notes.txt', 'no picture');
    await put('broken.png', pictureFile(4).subarray(0, 200));
    await put('labels.txt', 'one\ntwo\nthree\nfour\nfive\n');
    await put('few.json', '["one", "two"]');
  });
  after(() => folder.remove());

  test('a folder with everything below it, as JSON lines with stable keys', async () => {
    const { code, stdout, stderr } = await folder.run(['predict', 'photos', ...net, '--json', '--top', '3']);
    assert.deepEqual([code, stderr], [0, '']);
    const found = answers(stdout);
    assert.deepEqual(
      found.map(({ file }) => file),
      ['photos/a.PNG', 'photos/b.png', 'photos/deep/c.png'],
    );
    for (const answer of found) {
      assert.deepEqual(Object.keys(answer), ['file', 'predLabel', 'predScore', 'predClass', 'top']);
      assert.equal(answer.top.length, 3);
      assert.deepEqual(answer.top[0], {
        label: answer.predLabel,
        className: smallLabels[answer.predLabel],
        score: answer.predScore,
      });
    }
    assert.ok(
      new Set(found.map(({ predScore }) => predScore)).size > 1,
      'pictures must differ in their answers',
    );
  });

  test('globs, and a file named twice is answered once', async () => {
    const { code, stdout } = await folder.run(['predict', 'photos/*', 'photos/b.png', ...net, '--json']);
    assert.equal(code, 0);
    assert.deepEqual(
      answers(stdout).map(({ file }) => file),
      ['photos/a.PNG', 'photos/b.png'],
    );
  });

  test('a broken picture and a missing one are named, the others answered, exit code 1', async () => {
    const args = ['predict', 'photos/b.png', 'broken.png', 'gone.png', 'photos/a.PNG', ...net];
    const { code, stdout, stderr } = await folder.run(args);
    assert.equal(code, 1);
    assert.match(stderr, /^gone\.png: there is no such file/m);
    assert.match(stderr, /^broken\.png: png: /m);
    assert.match(stdout, /photos\/b\.png\n {2,}\d+\.\d\d% {2}/);
    assert.match(stdout, /photos\/a\.PNG\n/);
    assert.doesNotMatch(stdout + stderr, /\bat .*\.js:\d/);
  });

  test('no pictures at all is a wrong use', async () => {
    for (const place of ['empty', '*.gif', 'gone.jpg']) {
      const { code, stdout, stderr } = await folder.run(['predict', place, ...net]);
      assert.deepEqual([code, stdout], [2, ''], place);
      assert.match(stderr, /no pictures found/);
      assert.ok(stderr.includes(place));
    }
  });

  test('labels, input size and transform can be given', async () => {
    const own = ['--labels', 'labels.txt', '--input-size', '48', '--transform', 'apple', '--json'];
    const { code, stdout } = await folder.run(['predict', 'photos/b.png', ...net, ...own]);
    assert.equal(code, 0);
    const [answer] = answers(stdout);
    assert.equal(answer?.predClass, ['one', 'two', 'three', 'four', 'five'][answer?.predLabel ?? -1]);
    const few = await folder.run(['predict', 'photos/b.png', ...net, '--labels', 'few.json']);
    assert.equal(few.code, 2);
    assert.match(few.stderr, /5 classes, but 2 labels/);
  });

  test('bf16 is calibrated by pictures, near to f32', { skip: withoutBf16 }, async () => {
    const [plain, calibrated] = await Promise.all(
      [[], ['--precision', 'bf16', '--calibrate', 'photos']].map((own) =>
        folder.run(['predict', 'photos', ...net, '--json', ...own]),
      ),
    );
    const [expected, found] = [answers(plain?.stdout ?? ''), answers(calibrated?.stdout ?? '')];
    assert.equal(found.length, 3);
    for (const [i, { predScore }] of found.entries())
      assert.ok(Math.abs(predScore - (expected[i]?.predScore ?? 1)) < 0.005, `${predScore}`);
  });

  test('pictures to calibrate with must be there, and for bf16', async () => {
    for (const [place, precision, message] of [
      ['empty', 'bf16', /--calibrate: empty: the folder has no pictures/],
      ['photos', 'f32', /calibration is for precision "bf16"/],
    ] as const) {
      const own = ['--calibrate', place, '--precision', precision];
      const { code, stderr } = await folder.run(['predict', 'photos/b.png', ...net, ...own]);
      assert.equal(code, 2, stderr);
      assert.match(stderr, message);
    }
  });

  test('a pixel limit refuses, and both forms answer alike', async () => {
    const limited = await folder.run(['predict', 'photos/b.png', ...net, '--max-pixels', '100']);
    assert.equal(limited.code, 1);
    assert.match(limited.stderr, /photos\/b\.png: png: 40×32 is 1280 pixels, and at most 100/);
    const runs = await Promise.all(
      (['train', 'deploy'] as const).map((form) =>
        folder.run(['predict', 'photos/b.png', ...net, '--run', form, '--json']),
      ),
    );
    const [train, deploy] = runs.map(({ stdout }) => answers(stdout)[0]);
    assert.equal(train?.predLabel, deploy?.predLabel);
    assert.ok(Math.abs((train?.predScore ?? 0) - (deploy?.predScore ?? 1)) < 1e-5);
  });

  test('without a terminal there are no colours, and 40 columns are kept', async () => {
    const wide = await folder.run(['predict', 'photos/b.png', ...net]);
    assert.ok(wide.stdout.includes(smallLabels[2] ?? ''), 'nothing is cut where nobody said how wide it is');
    const { stdout } = await folder.run(['predict', 'photos/b.png', ...net], { COLUMNS: '40' });
    assert.ok(!stdout.includes('\x1b') && !stdout.includes('█'));
    const rows = stdout.split('\n').filter((line) => line.includes('%'));
    assert.equal(rows.length, 5);
    for (const row of rows) assert.ok(row.length <= 40, row);
    assert.ok(rows.some((row) => row.endsWith('…')));
  });

  test('a terminal gets colours and bars, unless NO_COLOR', { skip: withoutScript }, async () => {
    const inTerminal = async (columns: number, env: Readonly<Record<string, string>>) => {
      const command = `stty cols ${columns} rows 24; '${process.execPath}' '${cliPath}' predict photos/b.png --weights small.safetensors`;
      const child = spawn('script', ['-qec', command, '/dev/null'], {
        cwd: folder.path,
        env: { ...folder.env, TERM: 'xterm', ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      return (await collect(child)).stdout;
    };
    const fancy = await inTerminal(80, {});
    assert.ok(fancy.includes('\x1b[1m') && fancy.includes('█'));
    const plain = await inTerminal(40, { NO_COLOR: '1' });
    assert.ok(!plain.includes('\x1b[') && !plain.includes('█'));
    for (const line of plain.split(/\r?\n/).filter((one) => one.includes('%')))
      assert.ok(line.length <= 40, line);
  });

  test("Apple's S0 on photos: published answers", {
    skip: skipWithout('data', 'mobileone-s0-apple'),
  }, async () => {
    await writeFile(join(folder.path, 'apple.safetensors'), appleS0File());
    const photos = ['tabby_cat.jpg', 'bird.JPEG'].map((name) => golden('data', 'mobileone-s0-apple', name));
    const args = ['--weights', 'apple.safetensors', '--transform', 'plain-224', '--json'];
    const { code, stdout } = await folder.run(['predict', ...photos, ...args]);
    assert.equal(code, 0);
    const [cat, bird] = answers(stdout);
    assert.deepEqual([cat?.predLabel, cat?.predClass, bird?.predClass], [281, 'tabby cat', 'house finch']);
    assert.ok(Math.abs((cat?.predScore ?? 0) - 0.8457) < 1e-4);
  });
});
