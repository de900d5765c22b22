import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import { graphBuilder } from '../src/graph/builder.ts';
import { convGeometry } from '../src/graph/geometry.ts';
import type { Net } from '../src/graph/net.ts';
import { printGraph } from '../src/graph/print.ts';
import { mobileOneBlock } from '../src/model/block.ts';
import { mobileOneConfig, variantNames } from '../src/model/config.ts';
import { initialWeights, randomStatistics } from '../src/model/initialize.ts';
import { buildMobileOne } from '../src/model/mobileone.ts';
import { createRandom } from '../src/tensor/random.ts';
import { elementCount, maxDifference, type Shape, type Tensor, toFloat64 } from '../src/tensor/tensor.ts';
import { reparameterize } from '../src/transform/reparameterize.ts';
import { normalTensor } from './support/normal-tensor.ts';

function randomTensor(shape: Shape, seed: number): Tensor {
  return normalTensor(shape, createRandom(seed));
}

function asFloat64(net: Net): Net {
  return { graph: net.graph, weights: new Map([...net.weights].map(([name, t]) => [name, toFloat64(t)])) };
}

async function runBoth(
  net: Net,
  precision: 'f32' | 'f64',
  seed: number,
): Promise<{ relative: number; fused: Net }> {
  const fused = reparameterize(net);
  const input = net.graph.values[net.graph.inputs[0] ?? 0];
  assert.ok(input);
  const image = randomTensor(input.shape, seed);
  const outputs = [];
  for (const each of [fused, net]) {
    const session = await referenceEngine.compile(each.graph, each.weights, { precision });
    outputs.push(
      (await session.run({ [input.name]: image })).y ?? (await session.run({ [input.name]: image })).logits,
    );
    session.dispose();
  }
  const [a, b] = outputs;
  assert.ok(a && b && elementCount(b.shape) > 0);
  return { relative: maxDifference(a, b).relative, fused };
}

interface BlockCase {
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly depthwise: boolean;
  readonly branches: number;
  readonly scale: boolean;
  readonly skip: boolean;
  readonly squeeze: boolean;
}

function blockNet(c: BlockCase, channels: number, seed: number): Net {
  const b = graphBuilder('block train form');
  const x = b.input('x', [2, 9, 11, channels]);
  const y = mobileOneBlock(b, 'block', x, {
    outChannels: channels,
    geometry: convGeometry({ ...c, groups: c.depthwise ? channels : 1 }),
    form: 'train',
    branches: c.branches,
    scale: c.scale,
    skip: c.skip,
    ...(c.squeeze ? { squeeze: 2 } : {}),
    activation: null,
  });
  b.output('y', y);
  const graph = b.finish();
  return { graph, weights: randomStatistics(graph, initialWeights(graph, 'apple', seed), seed + 1) };
}

const flags = [false, true];
const cases: BlockCase[] = [1, 3, 5, 7].flatMap((kernel) =>
  [1, 2].flatMap((stride) =>
    [1, 2, 4].flatMap((dilation) =>
      flags.flatMap((depthwise) =>
        [1, 2, 3, 4, 5].flatMap((branches) =>
          flags.flatMap((scale) =>
            flags.flatMap((skip) =>
              flags.map((squeeze) => ({
                kernel,
                stride,
                dilation,
                depthwise,
                branches,
                scale,
                skip,
                squeeze,
              })),
            ),
          ),
        ),
      ),
    ),
  ),
);

describe('train form = deploy form', () => {
  for (const kernel of [1, 3, 5, 7])
    for (const precision of ['f32', 'f64'] as const)
      test(`every block geometry with kernel ${kernel}, ${precision}`, async () => {
        let worst = 0;
        let count = 0;
        for (const [seed, c] of cases.entries()) {
          if (c.kernel !== kernel || (c.skip && c.stride !== 1)) continue;
          const net = blockNet(c, 4, seed);
          const { relative, fused } = await runBoth(
            precision === 'f64' ? asFloat64(net) : net,
            precision,
            seed,
          );
          assert.equal(
            fused.graph.nodes.filter((node) => node.kind === 'batchNorm' || node.kind === 'sum').length,
            0,
          );
          assert.equal(fused.weights.get('block.weight')?.data instanceof Float64Array, precision === 'f64');
          assert.ok(relative <= (precision === 'f64' ? 1e-12 : 1e-5), `${JSON.stringify(c)}: ${relative}`);
          worst = Math.max(worst, relative);
          count++;
        }
        assert.ok(count >= 300 && worst > 0, `${count} cases, worst ${worst}`);
      });

  for (const variant of variantNames)
    test(`${variant} whole, and as the deploy graph that the model builds`, async () => {
      const config = mobileOneConfig(variant, { classes: 10 });
      const size = { height: 40, width: 56 };
      const graph = buildMobileOne(config, { form: 'train', ...size });
      const net = { graph, weights: randomStatistics(graph, initialWeights(graph, 'timm', 7), 8) };
      const { relative, fused } = await runBoth(net, 'f32', 9);
      assert.ok(relative <= 1e-5, `${relative}`);
      assert.equal(printGraph(fused.graph), printGraph(buildMobileOne(config, { form: 'deploy', ...size })));
    });

  for (const outputStride of [8, 16] as const)
    test(`output stride ${outputStride}: both forms agree, and a grid of its features is the stride-32 net's`, async () => {
      const image = randomTensor([1, 70, 90, 3], 5);
      const widths = [0.25, 0.25, 0.25, 0.25];
      const build = (variant: 's1' | 's4', stride: 8 | 16 | 32): Net => {
        const size = { height: 70, width: 90, outputStride: stride, outputs: ['stage4'] } as const;
        const graph = buildMobileOne(mobileOneConfig(variant, { widths }), { form: 'train', ...size });
        return { graph, weights: randomStatistics(graph, initialWeights(graph, 'timm', 3), 4) };
      };
      const features = async (net: Net): Promise<Tensor> => {
        const session = await referenceEngine.compile(net.graph, net.weights);
        return (await session.run({ image })).stage4 ?? assert.fail('no stage4');
      };
      const gated = build('s4', outputStride);
      const fused = await features(reparameterize(gated));
      assert.ok(maxDifference(fused, await features(gated)).relative <= 1e-5);
      // Without squeeze-excite, whose mean is over all positions, a feature depends on its own window only.
      const dense = await features(build('s1', outputStride));
      const coarse = await features(build('s1', 32));
      const [, rows = 0, columns = 0, channels = 0] = coarse.shape;
      const step = 32 / outputStride;
      const grid = Float32Array.from(coarse.data, (_, i) => {
        const [c, column, row] = [
          i % channels,
          Math.floor(i / channels) % columns,
          Math.floor(i / channels / columns),
        ];
        return dense.data[(row * step * (dense.shape[2] ?? 0) + column * step) * channels + c] ?? Number.NaN;
      });
      assert.ok(rows > 1 && columns > 1 && coarse.data.some((value) => value > 0));
      assert.equal(maxDifference({ shape: coarse.shape, data: grid }, coarse).absolute, 0);
    });

  test('the input net is left as it was', () => {
    const net = blockNet(cases[50] ?? assert.fail('no case'), 4, 1);
    const before = [
      printGraph(net.graph),
      ...[...net.weights].map(([name, t]) => `${name} ${t.data.join()}`),
    ];
    reparameterize(net);
    assert.deepEqual(
      [printGraph(net.graph), ...[...net.weights].map(([name, t]) => `${name} ${t.data.join()}`)],
      before,
    );
  });
});
