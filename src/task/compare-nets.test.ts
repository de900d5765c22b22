import assert from 'node:assert/strict';
import { test } from 'node:test';
import { referenceEngine } from '../engine/reference/reference-engine.ts';
import { UsageError } from '../errors.ts';
import type { Net } from '../graph/net.ts';
import { mobileOneConfig } from '../model/config.ts';
import { initialWeights, randomStatistics } from '../model/initialize.ts';
import { buildMobileOne } from '../model/mobileone.ts';
import { reparameterize } from '../transform/reparameterize.ts';
import { compareNets, compareOutputs } from './compare-nets.ts';
import { verifyOnnx } from './verify-onnx.ts';

function smallNet(size: number): Net {
  const config = mobileOneConfig('s0', { widths: [0.1, 0.1, 0.1, 0.05], pairs: [1, 1, 1, 1], classes: 3 });
  const graph = buildMobileOne(config, { form: 'train', batch: 2, height: size, width: size });
  return { graph, weights: randomStatistics(graph, initialWeights(graph, 'timm', 1), 2) };
}

test('equal forms agree to rounding, a changed weight shows, another input is refused', async () => {
  const train = smallNet(32);
  const deploy = reparameterize(train);
  const same = await compareNets(referenceEngine, train, deploy);
  assert.ok(same.relative > 0 && same.relative < 1e-5, `${same.relative}`);
  assert.deepEqual(same.probe, [2, 32, 32, 3]);
  const bias = deploy.weights.get('head.bias') ?? assert.fail();
  const moved = new Map([
    ...deploy.weights,
    ['head.bias', { ...bias, data: bias.data.map((x) => x + 1) as Float32Array }],
  ]);
  const other = await compareNets(referenceEngine, train, { ...deploy, weights: moved });
  assert.ok(Math.abs(other.absolute - 1) < 1e-4, `${other.absolute}`);
  await assert.rejects(compareNets(referenceEngine, train, smallNet(64)), UsageError);
});

test('NaN is no agreement, and outputs must be the same ones', () => {
  const one = (value: number) => ({ y: { shape: [1], data: Float32Array.of(value) } });
  const { absolute, relative } = compareOutputs(one(1), one(Number.NaN));
  assert.ok(Number.isNaN(absolute) && Number.isNaN(relative));
  assert.throws(() => compareOutputs(one(1), {}), UsageError);
});

test('verifyOnnx hands the file a picture that its own normalization takes back to the probe', async () => {
  const net = reparameterize(smallNet(32));
  const mean = [0.5, 0.4, 0.3];
  const std = [0.2, 0.3, 0.25];
  const session = await referenceEngine.compile(net.graph, net.weights);
  const { relative } = await verifyOnnx(
    referenceEngine,
    net,
    async ({ shape, data }) => {
      const image = data.map((x, i) => (x / 255 - (mean[i % 3] ?? 0)) / (std[i % 3] ?? 1)) as Float32Array;
      return session.run({ image: { shape, data: image } });
    },
    { kind: 'included', range: 255, mean, std },
  );
  assert.ok(relative < 1e-5, `${relative}`);
});
