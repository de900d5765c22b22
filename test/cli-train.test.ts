import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { cliPath, collect, createCliFolder } from './support/cli.ts';
import { makePng } from './support/png.ts';

const folder = await createCliFolder();
after(() => folder.remove());

/** Reddish or bluish noise. */
function picture(seed: number, color: readonly number[]): Uint8Array {
  const [width, height] = [36, 34];
  const rows = new Uint8Array(height * (1 + 3 * width));
  for (let i = 0; i < rows.length; i++)
    if (i % (1 + 3 * width) > 0)
      rows[i] = (color[((i % (1 + 3 * width)) - 1) % 3] ?? 0) + ((i * 29 + seed * 41) % 60);
  return makePng({ width, height, rows });
}
for (const [name, color] of [
  ['red', [180, 40, 40]],
  ['sky', [40, 60, 180]],
] as const) {
  await mkdir(join(folder.path, 'photos', name), { recursive: true });
  for (let i = 0; i < 8; i++)
    await writeFile(join(folder.path, 'photos', name, `${i}.png`), picture(i, color));
}
await writeFile(join(folder.path, 'photos', 'red', 'broken.png'), 'no picture');

const tiny = ['--engine', 'reference', '--width', '0.05', '--branches', '1', '--workers', '0'];
const small = [...tiny, '--size', '32', '--batch', '4', '--hold-out', '0.25'];
const train = (...more: readonly string[]) => folder.run(['train', ...more]);
const read = (...path: readonly string[]) => readFile(join(folder.path, ...path), 'utf8');

const straight = await train('photos', ...small, '--epochs', '3', '--out', 'straight');

test('from photos to a run folder: the data is looked at first, then one line an epoch', async () => {
  assert.equal(straight.code, 0, straight.stderr);
  assert.match(straight.stderr, /2 classes, 13 train, 4 val/);
  assert.match(straight.stderr, /1 broken pictures.*\n.*broken\.png/);
  assert.match(straight.stderr, /small: 3 epochs of batches of 4 in f32; 32 px/);
  assert.equal(straight.stdout.match(/^epoch [123]\/3 {2}32 px {2}train loss /gm)?.length, 3);
  assert.match(straight.stdout, /predict --model straight\/model\.safetensors/);
  assert.deepEqual((await readdir(join(folder.path, 'straight'))).sort(), [
    'best.safetensors',
    'config.json',
    'last.safetensors',
    'metrics.csv',
    'metrics.jsonl',
    'model.safetensors',
    'plots',
    'report.html',
  ]);
  assert.equal((await read('straight', 'metrics.csv')).trimEnd().split('\n').length, 4);
  const report = await read('straight', 'report.html');
  for (const part of ['finished', 'Augmented batch', 'top-1']) assert.ok(report.includes(part), part);
});

test('predict takes the model as it is; checkpoints read as nets', async () => {
  const { code, stdout } = await folder.run([
    ...['predict', 'photos/sky/3.png', '--model', 'straight/model.safetensors', '--json'],
    ...['--engine', 'reference'],
  ]);
  assert.equal(code, 0);
  assert.ok(['red', 'sky'].includes(JSON.parse(stdout).predClass));
  const inspected = await folder.run(['inspect', 'straight/best.safetensors']);
  assert.equal(inspected.code, 0, inspected.stderr);
});

test('Ctrl-C ends with a checkpoint; --resume goes on to the same numbers', async () => {
  const args = [
    cliPath,
    'train',
    'photos',
    ...small,
    '--epochs',
    '3',
    '--out',
    'stopped',
    '--no-check',
    '--json',
  ];
  const running = spawn(process.execPath, args, { cwd: folder.path, env: folder.env });
  running.stdout.once('data', () => running.kill('SIGINT'));
  const stopped = await collect(running);
  assert.equal(stopped.code, 130, stopped.stderr);
  assert.match(stopped.stderr, /Stopping: .*checkpoint/);
  const end = JSON.parse(stopped.stdout.trimEnd().split('\n').at(-1) ?? '');
  assert.equal(end.ended, 'stopped');
  assert.ok(end.step < 9);
  assert.match(await read('stopped', 'report.html'), /epoch \d of 3/);
  const resumed = await train('--resume', 'stopped', '--engine', 'reference', '--workers', '0');
  assert.equal(resumed.code, 0, resumed.stderr);
  const model = (run: string) => readFile(join(folder.path, run, 'model.safetensors'));
  assert.deepEqual(await model('stopped'), await model('straight'));
});

test('a run that is killed leaves the report of its last epoch', async () => {
  const args = [cliPath, 'train', 'photos', ...small, '--epochs', '200', '--out', 'killed', '--no-check'];
  const running = spawn(process.execPath, args, { cwd: folder.path, env: folder.env });
  let lines = '';
  running.stdout.on('data', (chunk: Buffer) => {
    lines += chunk.toString();
    if (/^epoch +3\//m.test(lines)) running.kill('SIGKILL');
  });
  await collect(running);
  const page = await read('killed', 'report.html');
  assert.match(page, /epoch [2-9]\d* of 200/);
  assert.match(page, /<\/html>\s*$/);
  assert.ok((await readdir(join(folder.path, 'killed', 'plots'))).length > 0);
});

test('fine-tuning: another classifier on trained weights, the rest frozen', async () => {
  const { code, stderr } = await train(
    ...['photos', '--from', 'straight/best.safetensors', '--freeze', 'backbone', '--epochs', '1', '--json'],
    ...['--engine', 'reference', '--workers', '0', '--size', '32', '--batch', '4', '--no-report'],
  );
  assert.equal(code, 0, stderr);
  assert.match(stderr, /best\.safetensors, train\s+form, same classifier/);
  const config = JSON.parse(await read('runs', 'photos-1', 'config.json'));
  assert.equal(config.recipe.name, 'fine-tune');
  assert.equal(config.from, 'straight/best.safetensors');
  const deploy = await train(
    ...[
      'photos',
      '--from',
      'straight/model.safetensors',
      '--epochs',
      '1',
      '--teacher',
      'straight/best.safetensors',
    ],
    ...[
      '--engine',
      'reference',
      '--workers',
      '0',
      '--size',
      '32',
      '--batch',
      '4',
      '--no-report',
      '--no-check',
    ],
  );
  assert.equal(deploy.code, 0, deploy.stderr);
  assert.match(deploy.stderr, /runs\/photos-2.*deploy\s+form/s);
});

test('used wrongly: exit code 2 and what to do', async () => {
  for (const [args, message] of [
    [[], /expected a folder of class folders, or --resume/],
    [['photos', '--set', 'rate.bas=1'], /there is no "bas"; here there is base/],
    [['photos', '--out', 'straight'], /go on with it by --resume "straight"/],
    [['--resume', 'straight', '--epochs', '9'], /leave out --epochs/],
    [['--resume', 'nowhere'], /there is no last\.safetensors/],
    [['photos', '--recipe', 'huge'], /known are small, fine-tune, paper, mmpretrain/],
    [['photos', '--from', 'straight/best.safetensors', '--model', 's1'], /leave one of them out/],
  ] as const) {
    const { code, stderr } = await train(...args, '--no-check');
    assert.equal(code, 2, stderr);
    assert.match(stderr, message);
  }
});
