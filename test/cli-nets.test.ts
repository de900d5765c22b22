import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { writeSafetensors } from '../src/format/safetensors/safetensors-write.ts';
import { type CliFolder, createCliFolder, pictureFile, smallLabels, smallNetFile } from './support/cli.ts';

/** Commands about nets and their files; each writes its own file, so that they may run at once. */
describe('mobileone and net files', { concurrency: 2 }, () => {
  let folder: CliFolder;
  before(async () => {
    folder = await createCliFolder();
    await writeFile(join(folder.path, 'small.safetensors'), smallNetFile());
    await writeFile(join(folder.path, 'a.png'), pictureFile(1));
    const other = { dtype: 'f32', shape: [2, 3], bytes: new Uint8Array(24) } as const;
    const tensors = new Map([['layer1.0.conv1.weight', other]]);
    await writeFile(
      join(folder.path, 'resnet.safetensors'),
      writeSafetensors(tensors, { note: 'a\x1b[31mred' }),
    );
    await writeFile(join(folder.path, 'page.pth'), '<!doctype html><title>404</title>');
  });
  after(() => folder.remove());

  const json = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await folder.run([...args, '--json']);
    assert.deepEqual([code, stderr], [0, ''], args.join(' '));
    return JSON.parse(stdout);
  };
  const predicted = async (file: string) => {
    const { stdout } = await folder.run(['predict', 'a.png', '--weights', file, '--json']);
    const { predLabel, predScore, predClass } = JSON.parse(stdout);
    return { predLabel, predScore, predClass };
  };

  test('info s0: the published integers, without weights', async () => {
    const { train, deploy, branches, stages, taps } = await json('info', 's0');
    assert.deepEqual([train.parameters, train.buffers, train.macs], [5293272, 88192, 1051935232]);
    assert.deepEqual(
      [deploy.parameters, deploy.mmpretrainFlops, deploy.fvcoreFlops],
      [2078504, 274136576, 275160576],
    );
    assert.deepEqual([branches, stages.length, taps.at(-1).shape], [4, 5, [1, 1000]]);
    const text = await folder.run(['info', 's4', '--nodes'], { COLUMNS: '80' });
    assert.match(text.stdout, /FLOPs, mmpretrain ¹ +2,986,755,200 +2,979,222,528/);
    assert.match(text.stdout, /resize short side 256/);
    assert.match(text.stdout, /^stages\.3\.1\.se\.gate$/m);
  });

  test('info of other nets and of a file', async () => {
    const own = await json(
      'info',
      'S1',
      '--classes',
      '7',
      '-k',
      '3',
      '--input',
      '64x96',
      '--output-stride',
      '16',
    );
    assert.deepEqual([own.config.classes, own.branches, own.input], [7, 3, [64, 96, 3]]);
    assert.deepEqual(own.stages.at(-1).size, [4, 6]);
    const file = await json('info', 'small.safetensors');
    assert.deepEqual([file.branches, file.config.classes, file.transform.resize.width], [2, 5, 32]);
    const narrow = await folder.run(['info', 's0'], { COLUMNS: '40' });
    for (const line of narrow.stdout.split('\n')) assert.ok(line.length <= 40, line);
  });

  test('inspect: what fits, what does not, and what is no checkpoint', async () => {
    const small = await json('inspect', 'small.safetensors');
    assert.deepEqual(
      [small.container, small.mobileone.family, small.mobileone.form, small.mobileone.complete],
      ['safetensors', 'timm', 'train', true],
    );
    const stem = small.tensors.find(({ name }: { name: string }) => name === 'stem.conv_kxk.0.conv.weight');
    assert.deepEqual([stem.dtype, stem.shape, stem.canonical], ['f32', [16, 3, 3, 3], 'stem.conv.0.weight']);
    const listed = await folder.run(['inspect', 'small.safetensors', '--tensors']);
    assert.match(
      listed.stdout,
      /^stem\.conv_kxk\.0\.conv\.weight +f32 +\[16,3,3,3\] +stem\.conv\.0\.weight$/m,
    );
    assert.match(listed.stdout, /labels +5 class names/);
    const other = await folder.run(['inspect', 'resnet.safetensors']);
    assert.equal(other.code, 0);
    assert.match(other.stdout, /no: .*a ResNet/);
    assert.ok(other.stdout.includes('a\\x1b[31mred'), 'control characters are shown, not sent');
    const page = await folder.run(['inspect', 'page.pth']);
    assert.equal(page.code, 1);
    assert.match(page.stderr, /"page\.pth": is a web page/);
  });

  test('reparameterize, then the same answers; again is refused', async () => {
    const args = ['reparameterize', 'small.safetensors', 'deploy.safetensors', '--as', 'apple'];
    const { code, stdout, stderr } = await folder.run(args, { COLUMNS: '60' });
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /parameters +[\d,]+ → [\d,]+/);
    assert.match(stdout, /difference +at most \d\.\de-\d+, relative \d\.\de-\d+/);
    const [before_, after_] = await Promise.all([
      predicted('small.safetensors'),
      predicted('deploy.safetensors'),
    ]);
    assert.equal(after_.predClass, smallLabels[after_.predLabel]);
    assert.equal(after_.predLabel, before_.predLabel);
    assert.ok(Math.abs(after_.predScore - before_.predScore) < 1e-5);
    const { mobileone } = await json('inspect', 'deploy.safetensors');
    assert.deepEqual([mobileone.family, mobileone.form], ['apple', 'deploy']);
    const again = await folder.run(['reparameterize', 'deploy.safetensors', 'twice.safetensors']);
    assert.equal(again.code, 2);
    assert.match(again.stderr, /is in deploy form: its branches are merged already/);
  });

  test('reparameterize to 16 bits halves the file', async () => {
    const { code } = await folder.run([
      'reparameterize',
      'small.safetensors',
      'half.safetensors',
      '--dtype',
      'f16',
    ]);
    assert.equal(code, 0);
    const { tensors } = await json('inspect', 'half.safetensors');
    assert.ok(tensors.every(({ dtype }: { dtype: string }) => dtype === 'f16'));
  });

  test('export to ONNX, verified, with normalization and taps', async () => {
    const choices = ['--normalize', 'included', '--outputs', 'stage2,logits', '--input', '40x32'];
    const { code, stdout, stderr } = await folder.run([
      'export',
      'small.safetensors',
      'net.onnx',
      ...choices,
    ]);
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /input +\[batch, 3, 40, 32\], RGB 0–255; mean and std are inside/);
    assert.match(stdout, /outputs +stage2, logits/);
    assert.match(stdout, /verified +(ONNX Runtime \S+ differs by at most \d\.\de-\d+|no: onnxruntime-node)/);
    const bytes = (await readFile(join(folder.path, 'net.onnx'))).toString('latin1');
    assert.ok(bytes.includes('"ant"') && bytes.includes('"kind":"exact"'));
  });

  test('export to safetensors under other names, both forms', async () => {
    const train = await folder.run([
      'export',
      'small.safetensors',
      'mm.safetensors',
      '--form',
      'train',
      '--as',
      'mmpretrain',
    ]);
    assert.equal(train.code, 0);
    const { mobileone } = await json('inspect', 'mm.safetensors');
    assert.deepEqual([mobileone.family, mobileone.form, mobileone.complete], ['mmpretrain', 'train', true]);
    assert.deepEqual(await predicted('mm.safetensors'), await predicted('small.safetensors'));
  });

  test('what cannot be written is refused before anything is, and leaves nothing', async () => {
    const refused = [
      [['export', 'small.safetensors', 'net.pth'], /must end in \.onnx or \.safetensors/],
      [
        ['export', 'small.safetensors', 'x.onnx', '--dtype', 'f16'],
        /--dtype: \.onnx files have no such option/,
      ],
      [['export', 'small.safetensors', 'x.onnx', '--outputs', 'stage9'], /stage9/],
      [['reparameterize', 'small.safetensors', 'small.safetensors'], /is the file that is read/],
      [['reparameterize', 'small.safetensors', 'no/such/x.safetensors'], /cannot be written/],
    ] as const;
    for (const [args, message] of refused) {
      const { code, stderr } = await folder.run(args);
      assert.equal(code, 2, args.join(' '));
      assert.match(stderr, message);
    }
    const left = await readdir(folder.path);
    assert.ok(!left.some((name) => name.endsWith('.part') || /^(x|net\.pth)/.test(name)), left.join());
  });
});
