import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  buildMobileOne,
  evalTransforms,
  type Form,
  HubError,
  ImageError,
  imagenetClasses,
  inferenceModel,
  initialWeights,
  loadClassifier,
  type MobileOneConfig,
  mobileOneConfig,
  type PixelSource,
  randomStatistics,
  referenceEngine,
  reparameterize,
  UsageError,
  type Weights,
  WeightsError,
  writeWeights,
} from '../src/node.ts';
import { writeNetMetadata } from '../src/task/net-metadata.ts';

const picture: PixelSource = {
  width: 60,
  height: 40,
  data: Uint8Array.from({ length: 60 * 40 * 3 }, (_, i) => (i * 37 + Math.floor(i / 60)) % 256),
};

function trainWeights(config: MobileOneConfig): Weights {
  const graph = buildMobileOne(config, { form: 'train', height: 64, width: 64 });
  return randomStatistics(graph, initialWeights(graph, 'timm', 5), 6);
}

function deployWeights(config: MobileOneConfig, weights: Weights): Weights {
  return reparameterize({ graph: buildMobileOne(config, { form: 'train', height: 64, width: 64 }), weights })
    .weights;
}

describe('loadClassifier', () => {
  let folder: string;
  const small = mobileOneConfig('s0', { widths: [0.25, 0.25, 0.25, 0.25], classes: 3, branches: 2 });
  const put = async (name: string, bytes: Uint8Array): Promise<string> => {
    await writeFile(join(folder, name), bytes);
    return join(folder, name);
  };
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mobileone-'));
    process.env.MOBILEONE_CACHE = folder;
    process.env.MOBILEONE_OFFLINE = '1';
  });
  after(() => rm(folder, { recursive: true }));

  test("mmpretrain's call: its name, its transform, its class names, train form fused on the way", async () => {
    const config = mobileOneConfig('s0');
    await put(
      'mobileone-s0_8xb32_in1k_20221110-0bc94952.pth',
      writeWeights(trainWeights(config), 'mmpretrain'),
    );
    const model = await loadClassifier('mobileone-s0_8xb32_in1k');
    assert.deepEqual([model.net.family, model.net.form, model.form], ['mmpretrain', 'train', 'deploy']);
    assert.deepEqual(model.transform, evalTransforms.mmpretrain);
    const answer = await inferenceModel(model, picture, { topK: 2 });
    model.dispose();
    assert.equal(answer.predClass, imagenetClasses()[answer.predLabel]?.fullName);
    assert.equal(answer.predScore, answer.predScores[answer.predLabel]);
    assert.ok(answer.predScores.every((score) => score <= answer.predScore));
    assert.equal(answer.top.length, 2);
  });

  test('every family and both forms give the same answer; only the file says which', async () => {
    const train = trainWeights(small);
    const deploy = deployWeights(small, train);
    const forms: readonly (readonly [Form, Weights])[] = [
      ['train', train],
      ['deploy', deploy],
    ];
    const scores: number[][] = [];
    for (const family of ['apple', 'mmpretrain', 'timm', 'corenet', 'mobileone'] as const)
      for (const [form, weights] of forms) {
        const path = await put(`${family}-${form}.safetensors`, writeWeights(weights, family));
        const model = await loadClassifier(path, { transform: 'apple', inputSize: 64 });
        assert.deepEqual([model.net.family, model.net.form, model.config.classes], [family, form, 3]);
        scores.push([...(await model.classify(picture)).predScores]);
        model.dispose();
      }
    for (const row of scores)
      for (const [i, score] of row.entries()) assert.ok(Math.abs(score - (scores[0]?.[i] ?? 0)) < 1e-5);
  });

  test('labels and transform travel in the file; options go before them', async () => {
    const metadata = {
      labels: ['apple', 'pear', 'plum'],
      transform: { ...evalTransforms['plain-224'], resize: { kind: 'exact', width: 64, height: 48 } },
    } as const;
    const path = await put(
      'fruit.safetensors',
      writeWeights(trainWeights(small), 'mobileone', writeNetMetadata(metadata)),
    );
    const model = await loadClassifier(path);
    assert.deepEqual(model.labels, metadata.labels);
    assert.deepEqual(model.transform, metadata.transform);
    const { predClass, predScores } = await model.classify(picture);
    assert.ok(metadata.labels.some((label) => label === predClass));
    const branches = await loadClassifier(path, {
      run: 'train',
      labels: ['a', 'b', 'c'],
      engine: referenceEngine,
      precision: 'f64',
    });
    assert.deepEqual([branches.form, branches.labels], ['train', ['a', 'b', 'c']]);
    const again = await branches.classify(picture);
    for (const [i, score] of again.predScores.entries())
      assert.ok(Math.abs(score - (predScores[i] ?? 0)) < 1e-5);
  });

  test('what cannot work says why', async () => {
    const deploy = deployWeights(small, trainWeights(small));
    const path = await put('deploy.safetensors', writeWeights(deploy, 'timm'));
    await assert.rejects(loadClassifier(path, { run: 'train' }), UsageError);
    await assert.rejects(loadClassifier(path, { labels: ['one'] }), /3 classes, but 1 labels/);
    await assert.rejects(loadClassifier(path, { transform: 'imagenet21k' }), ImageError);
    await assert.rejects(loadClassifier('mobileone-s9'), HubError);
    await assert.rejects(loadClassifier('s3'), /offline mode is on/);
    const cut = new Map([...deploy].filter(([name]) => !name.startsWith('stages.2.4.')));
    const damaged = await put('cut.safetensors', writeWeights(cut, 'timm'));
    await assert.rejects(loadClassifier(damaged), WeightsError);
    const model = await loadClassifier(path, { inputSize: 64 });
    await assert.rejects(model.classify(join(folder, 'absent.jpg')), /absent\.jpg/);
    await assert.rejects(model.classify({ width: 2, height: 2, data: new Uint8Array(5) }), ImageError);
  });
});
