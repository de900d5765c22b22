import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type CliFolder, createCliFolder, pictureFile, smallNetFile } from './support/cli.ts';

/** Nets of 5 classes on 32×32 pixels: what is told is tested, never how long anything takes. */
describe('mobileone bench', { concurrency: 2 }, () => {
  let folder: CliFolder;
  const small = ['bench', 'small.safetensors', '--runs', '3'];
  before(async () => {
    folder = await createCliFolder();
    await writeFile(join(folder.path, 'small.safetensors'), smallNetFile());
    await writeFile(join(folder.path, 'a.png'), pictureFile(1));
  });
  after(() => folder.remove());

  test('a file: keys that programs can rely on, and numbers that agree with each other', async () => {
    const args = [...small, '--target', 'wasm', '--threads', '1', '--batch', '2', '--profile', '--json'];
    const { code, stdout, stderr } = await folder.run(args);
    assert.deepEqual([code, stderr], [0, '']);
    const found = JSON.parse(stdout);
    assert.deepEqual(Object.keys(found), [
      'model',
      'form',
      'fused',
      'weights',
      'input',
      'machine',
      'engine',
      'compileMs',
      'warmUp',
      'latency',
      'imagesPerSecond',
      'macs',
      'gflops',
      'peakGflops',
      'shareOfPeak',
      'memory',
      'codeBytes',
      'busy',
      'profile',
    ]);
    assert.deepEqual(found.engine, { name: 'cpu', target: 'wasm', threads: 1, precision: 'f32' });
    assert.deepEqual([found.form, found.fused, found.input], ['deploy', true, [2, 32, 32, 3]]);
    assert.equal(found.weights.kind, 'file');
    assert.deepEqual(Object.keys(found.latency), ['runs', 'medianMs', 'p10Ms', 'p90Ms', 'minMs']);
    assert.equal(found.latency.runs, 3);
    assert.equal(found.shareOfPeak, found.gflops / found.peakGflops);
    assert.ok(found.memory.peakRssBytes > found.memory.sessionBytes);
    assert.ok(found.memory.sessionBytes > found.memory.activationBytes && found.codeBytes > 0);
    const shares = found.profile.map(({ share }: { share: number }) => share);
    assert.ok(Math.abs(shares.reduce((a: number, b: number) => a + b, 0) - 1) < 1e-9);
    assert.deepEqual(found.profile.at(-1).shape, [2, 5]);
    assert.ok(found.profile.some(({ ops }: { ops: string }) => ops === 'conv2d+relu'));
  });

  test('a net that is not fused is shouted about, on stderr too', async () => {
    const text = await folder.run([...small, '--form', 'train', '--profile'], { COLUMNS: '40' });
    assert.equal(text.code, 0);
    assert.match(text.stderr, /^NOT FUSED: /);
    assert.match(text.stdout, /NOT FUSED: /);
    assert.match(text.stdout, /train form/);
    for (const line of text.stdout.split('\n')) assert.ok([...line].length <= 40, line);
    const { stdout, stderr } = await folder.run([...small, '--form', 'train', '--json']);
    assert.match(stderr, /^NOT FUSED: /);
    assert.equal(JSON.parse(stdout).fused, false);
  });

  test('a name brings seeded weights, offline, and says so', async () => {
    const { code, stdout, stderr } = await folder.run(
      ['bench', 's0', '--runs', '1', '--input', '32x64', '--engine', 'reference'],
      { COLUMNS: '80' },
    );
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /^mobileone-s0, deploy form, batch 1, 32×64$/m);
    assert.match(stdout, /weights +random, seed 1; nothing was downloaded/);
    assert.match(stdout, /engine +reference, 1 thread, f32/);
    assert.doesNotMatch(stdout, /peak of|session holds|emitted/);
  });

  test('in turns with ONNX Runtime, answers first', async (context) => {
    const { code, stdout, stderr } = await folder.run([...small, '--vs', 'onnxruntime-node', '--json']);
    if (code === 1 && /not installed/.test(stderr)) return context.skip(stderr);
    assert.deepEqual([code, stderr], [0, '']);
    const { versus, engine } = JSON.parse(stdout);
    assert.deepEqual(Object.keys(versus), [
      'rival',
      'version',
      'threads',
      'difference',
      'turns',
      'ours',
      'theirs',
      'ratio',
      'ratioP10',
      'ratioP90',
      'noise',
    ]);
    assert.equal(versus.threads, engine.threads);
    assert.ok(versus.difference.relative < 1e-4, JSON.stringify(versus.difference));
    assert.ok(versus.turns >= 5 && versus.ours.runs >= versus.turns && versus.theirs.runs >= versus.turns);
    assert.equal(versus.ratio, versus.ours.medianMs / versus.theirs.medianMs);
    assert.equal(versus.noise, versus.ratioP10 <= 1 && versus.ratioP90 >= 1);
  });

  test('what cannot be measured: the reason, and what there is', async () => {
    const refused = [
      [['--runs', '0'], 2, /A whole number from 1/],
      [['--seconds', '0'], 2, /seconds above 0/],
      [['--seconds', 'soon'], 2, /seconds above 0/],
      [['--runs', '1', '--seconds', '1'], 2, /--runs or --seconds, not both/],
      [['--batch', '0'], 2, /A whole number from 1/],
      [['--threads', 'many'], 2, /A whole number from 1/],
      [['--threads', '1000'], 2, /from 1 to \d+, found 1000/],
      [['--target', 'mmx'], 1, /"mmx" is not to be had here; there is .*wasm/],
      [['--target', 'wasm', '--precision', 'bf16'], 1, /precision .*bf16/],
      [['--engine', 'reference', '--precision', 'bf16'], 1, /bf16/],
      [['--engine', 'reference', '--target', 'wasm'], 2, /--target: engine reference/],
      [['--engine', 'reference', '--threads', '2'], 2, /--threads 2: engine reference/],
      [['--engine', 'reference', '--profile'], 2, /--profile: engine reference/],
      [['--vs', 'tensorflow'], 2, /onnxruntime-node/],
    ] as const;
    const results = await Promise.all(refused.map(([args]) => folder.run(['bench', 's0', ...args])));
    for (const [i, { code, stdout, stderr }] of results.entries()) {
      const [args, expected, message] = refused[i] ?? [];
      assert.deepEqual([code, stdout], [expected, ''], `${args?.join(' ')}: ${stderr}`);
      assert.match(stderr, message ?? /$^/);
    }
    const unknown = await folder.run(['bench', 's9']);
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /no model is called "s9"/);
  });

  test('predict computes on what it is told to', async () => {
    const predict = ['predict', 'a.png', '--weights', 'small.safetensors', '--json'];
    const ways = [
      ['--engine', 'reference'],
      ['--target', 'wasm', '--threads', '1'],
      ['--threads', '2'],
    ];
    const answers = await Promise.all(ways.map((way) => folder.run([...predict, ...way])));
    const scores = answers.map(({ stdout }): number => JSON.parse(stdout).predScore);
    for (const score of scores) assert.ok(Math.abs(score - (scores[0] ?? 0)) < 1e-5, scores.join(' '));
    const unknown = await folder.run([...predict, '--target', 'mmx']);
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /"mmx" is not to be had here/);
    const told = await folder.run([
      'predict',
      'a.png',
      '--weights',
      'small.safetensors',
      '--engine',
      'reference',
    ]);
    assert.match(told.stdout, /reference engine/);
  });

  test('doctor names the engine, its instruction sets and threads, and why it is not native', async () => {
    const off = { MOBILEONE_NATIVE: '0' };
    const { engine } = JSON.parse((await folder.run(['doctor', '--json'], off)).stdout);
    assert.deepEqual([engine.used, engine.nativeCode.usable], ['cpu', false]);
    assert.match(engine.nativeCode.reason, /MOBILEONE_NATIVE/);
    assert.ok(engine.targets.includes('wasm') && !engine.targets.includes('avx2'));
    assert.ok(engine.threads >= 1);
    const text = await folder.run(['doctor'], { ...off, COLUMNS: '80' });
    assert.match(text.stdout, /engine +cpu, wasm/);
    assert.match(text.stdout, /native code +no: .*MOBILEONE_NATIVE/);
  });
});
