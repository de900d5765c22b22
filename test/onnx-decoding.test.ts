/** ONNX files that decode: ONNX Runtime's boxes and class maps are those of `detect` and `segment`. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import { encodeOnnx, type OnnxNormalization } from '../src/format/onnx/encode-onnx.ts';
import { openOnnxRuntime } from '../src/platform/node/onnx-runtime.ts';
import { type HeadNet, runnableNet } from '../src/task/head-net.ts';
import { onnxDecoding } from '../src/task/onnx-decoding.ts';
import { verifyDecoding } from '../src/task/verify-decoding.ts';
import { randomDetector, randomSegmenter } from './support/head-nets.ts';
import { readOnnx } from './support/onnx-reader.ts';
import { skipWithoutRuntime } from './support/onnx-runtime.ts';

const styles = ['torchvision', 'mmdetection', 'cvnets'] as const;
const included: OnnxNormalization = {
  kind: 'included',
  range: 255,
  mean: [0.5, 0.4, 0.3],
  std: [0.2, 0.25, 0.3],
};

describe('ONNX files that decode', { skip: skipWithoutRuntime }, () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mobileone-onnx-'));
  });
  after(() => rm(folder, { recursive: true }));

  async function agreement(source: HeadNet, normalization?: OnnxNormalization) {
    const { net, maps } = runnableNet(source, 'deploy');
    const decoding = onnxDecoding(source, maps);
    const bytes = encodeOnnx(net, { decoding, ...(normalization ? { normalization } : {}) });
    const path = join(folder, 'net.onnx');
    await writeFile(path, bytes);
    const runtime = await openOnnxRuntime();
    if (!runtime.found) assert.fail(runtime.reason);
    const found = await verifyDecoding(
      referenceEngine,
      source,
      (input) => runtime.answers(path, input),
      normalization,
    );
    return { ...found, file: readOnnx(bytes) };
  }

  for (const style of styles) {
    test(`boxes, ${style}`, async () => {
      const { same, all, file } = await agreement(randomDetector(style));
      assert.ok(all > 50, `${all} boxes`);
      assert.ok(same >= 0.98 * all, `${same} of ${all}`);
      assert.deepEqual(file.outputs, {
        boxes: ['detections', 4],
        scores: ['detections'],
        labels: ['detections'],
        images: ['detections'],
      });
    });

    test(`class maps, ${style}`, async () => {
      const deepLab = (
        { torchvision: 'torchvision', mmdetection: 'mmsegmentation', cvnets: 'cvnets' } as const
      )[style];
      const { same, all, file } = await agreement(await randomSegmenter(deepLab));
      assert.equal(all, 2 * 64 * 48);
      assert.ok(same >= 0.999 * all, `${same} of ${all}`);
      assert.deepEqual(file.outputs, { classMap: ['batch', 48, 64] });
    });
  }

  test('mean and std included', async () => {
    const { same, all } = await agreement(randomDetector('torchvision'), included);
    assert.ok(same >= 0.98 * all, `${same} of ${all}`);
  });

  test('a file that gives other answers is found out', async () => {
    const source = randomDetector('torchvision');
    const other = { ...source, labels: [...source.labels].reverse() };
    const { net, maps } = runnableNet(source, 'deploy');
    const path = join(folder, 'other.onnx');
    const decoding = onnxDecoding(source, maps);
    if (decoding.kind !== 'boxes') assert.fail('boxes');
    await writeFile(
      path,
      encodeOnnx(net, { decoding: { ...decoding, labels: [...decoding.labels].reverse() } }),
    );
    const runtime = await openOnnxRuntime();
    if (!runtime.found) assert.fail(runtime.reason);
    const { same, all } = await verifyDecoding(referenceEngine, other, (input) =>
      runtime.answers(path, input),
    );
    assert.ok(same < 0.9 * all, `${same} of ${all}`);
  });
});
