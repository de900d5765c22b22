import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { encodePng } from '../src/image/encode-png.ts';
import { encodeHeadNet } from '../src/task/head-checkpoint.ts';
import { type CliFolder, createCliFolder } from './support/cli.ts';
import { randomDetector, randomSegmenter, scenePicture } from './support/head-nets.ts';
import { readOnnx } from './support/onnx-reader.ts';
import { skipWithoutRuntime } from './support/onnx-runtime.ts';

describe('detectors and segmenters: export, reparameterize, info, inspect', { concurrency: 2 }, () => {
  let folder: CliFolder;
  const at = (name: string): string => join(folder.path, name);
  const run = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await folder.run(args);
    assert.deepEqual([code, stderr], [0, ''], args.join(' '));
    return stdout;
  };
  before(async () => {
    folder = await createCliFolder();
    await writeFile(at('scene.png'), await encodePng(scenePicture(90, 70)));
    await writeFile(at('detect.safetensors'), encodeHeadNet({ ...randomDetector(), name: 'shapes' }));
    await writeFile(
      at('segment.safetensors'),
      encodeHeadNet({ ...(await randomSegmenter()), name: 'grounds' }),
    );
  });
  after(() => folder.remove());

  const outputs = {
    detect: [0, 1, 2, 3, 4, 5].flatMap((i) => [`classes.${i}`, `boxes.${i}`]),
    segment: ['logits'],
  };
  for (const task of ['detect', 'segment'] as const) {
    test(`${task}: ONNX with everything to decode it, agreed on by ONNX Runtime`, {
      skip: skipWithoutRuntime,
    }, async () => {
      for (const more of [[], ['--form', 'train', '--normalize', 'included']]) {
        const out = `${task}${more.length}.onnx`;
        const text = await run('export', `${task}.safetensors`, out, ...more);
        assert.match(text.replace(/\s+/g, ' '), /verified +ONNX Runtime .* differs by at most/);
        const file = readOnnx(await readFile(at(out)));
        assert.deepEqual(Object.keys(file.outputs), outputs[task]);
        const stored = file.metadata;
        assert.equal(JSON.parse(stored.task ?? '').task, task);
        assert.ok(JSON.parse(stored.labels ?? '').includes('star'));
      }
    });

    test(`${task}: merged, the file says the same about a picture`, async () => {
      assert.match(
        await run('reparameterize', `${task}.safetensors`, `${task}-deploy.safetensors`),
        /difference/,
      );
      const inspected = JSON.parse(await run('inspect', `${task}-deploy.safetensors`, '--json'));
      assert.deepEqual(
        [inspected.task, inspected.mobileone.form, inspected.mobileone.complete],
        [task, 'deploy', true],
      );
      const results = async (file: string) =>
        JSON.parse(await run('predict', 'scene.png', '--model', file, '--json')).results.map(
          (one: { category_name: string; area?: number; bbox?: number[] }) => [
            one.category_name,
            one.area ?? one.bbox,
          ],
        );
      const [train, deploy] = [
        await results(`${task}.safetensors`),
        await results(`${task}-deploy.safetensors`),
      ];
      assert.ok(train.length > 0);
      assert.deepEqual(deploy, train);
    });
  }

  test('--decode: boxes and class maps come out of the file', { skip: skipWithoutRuntime }, async () => {
    for (const [task, names] of [
      ['detect', ['boxes', 'scores', 'labels', 'images']],
      ['segment', ['classMap']],
    ] as const) {
      const text = await run('export', `${task}.safetensors`, `${task}-decoded.onnx`, '--decode');
      assert.match(
        text.replace(/\s+/g, ' '),
        /verified +ONNX Runtime .*: \d+ of \d+ (boxes|pixels) are the same/,
      );
      assert.deepEqual(Object.keys(readOnnx(await readFile(at(`${task}-decoded.onnx`))).outputs), names);
    }
  });

  test('info and inspect name the task', async () => {
    assert.match(
      await run('inspect', 'detect.safetensors'),
      /task +detection \(SSDLite\), torchvision's style/,
    );
    assert.match(
      await run('inspect', 'segment.safetensors'),
      /grounds, train form, 4 classes\n +task +segmentation/,
    );
    assert.match(await run('info', 'segment.safetensors'), /task +segmentation \(DeepLabV3\), 4 classes/);
    assert.match(await run('info', 's0'), /task +classification/);
    const { task, whole } = JSON.parse(await run('info', 'detect.safetensors', '--json'));
    assert.equal(task, 'detect');
    assert.deepEqual([whole.classes, whole.input], [3, [64, 96]]);
    assert.ok(whole.parameters > 0 && whole.macs > 0);
  });

  test('options that heads do not have are refused', async () => {
    for (const args of [
      ['export', 'detect.safetensors', 'x.onnx', '--input', '64'],
      ['export', 'detect.safetensors', 'x.onnx', '--outputs', 'logits'],
      ['export', 'segment.safetensors', 'x.safetensors', '--as', 'timm'],
      ['export', 'segment.safetensors', 'x.safetensors', '--decode'],
    ])
      assert.equal((await folder.run(args)).code, 2, args.join(' '));
  });
});
