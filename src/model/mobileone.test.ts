import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { referenceEngine } from '../engine/reference/reference-engine.ts';
import { ShapeError, UsageError } from '../errors.ts';
import { graphBuilder } from '../graph/builder.ts';
import { convGeometry, type GeometryOptions } from '../graph/geometry.ts';
import type { CheckedGraph } from '../graph/graph.ts';
import type { Net } from '../graph/net.ts';
import { createRandom } from '../tensor/random.ts';
import { formatShape, type Tensor } from '../tensor/tensor.ts';
import { reparameterize } from '../transform/reparameterize.ts';
import { type BlockOptions, mobileOneBlock } from './block.ts';
import { mobileOneConfig } from './config.ts';
import { initialWeights, randomStatistics } from './initialize.ts';
import { buildMobileOne, type OutputName } from './mobileone.ts';

/** The properties that mmpretrain's own tests of MobileOne hold, for our block and net. */

function blockGraph(
  inChannels: number,
  geometry: GeometryOptions,
  options: Omit<BlockOptions, 'geometry' | 'form'>,
  form: 'train' | 'deploy' = 'train',
): CheckedGraph {
  const b = graphBuilder('block');
  const x = b.input('x', [1, 16, 16, inChannels]);
  b.output('y', mobileOneBlock(b, 'block', x, { ...options, geometry: convGeometry(geometry), form }));
  return b.finish();
}

function outputShape(graph: CheckedGraph): string {
  const id = graph.outputs[0]?.value;
  return formatShape(id === undefined ? [] : (graph.values[id]?.shape ?? []));
}

const has = (graph: CheckedGraph, prefix: string): boolean =>
  graph.nodes.some((node) => node.name.startsWith(prefix));

describe('block', () => {
  for (const branches of [1, 4])
    test(`5 → 10 channels in 5 groups, ${branches} branches`, () => {
      const graph = blockGraph(5, { kernel: 3, groups: 5 }, { outChannels: 10, branches });
      assert.equal(outputShape(graph), '[1,16,16,10]');
      assert.equal(graph.nodes.filter((node) => /^block\.conv\.\d+\.conv$/.test(node.name)).length, branches);
      assert.ok(has(graph, 'block.scale') && !has(graph, 'block.skip'));
    });

  test('kernel 1 has no scale branch; equal channels give a skip branch', () => {
    const graph = blockGraph(10, { kernel: 1 }, { outChannels: 10, branches: 2 });
    assert.ok(!has(graph, 'block.scale') && has(graph, 'block.skip'));
  });

  test('stride 2 halves the size and has no skip branch', () => {
    const graph = blockGraph(10, { kernel: 3, stride: 2, groups: 10 }, { outChannels: 10, branches: 4 });
    assert.equal(outputShape(graph), '[1,8,8,10]');
    assert.ok(!has(graph, 'block.skip'));
  });

  test('dilation 2 keeps 16 × 16', () => {
    assert.equal(
      outputShape(blockGraph(4, { kernel: 3, dilation: 2 }, { outChannels: 4, branches: 2 })),
      '[1,16,16,4]',
    );
  });

  test('squeeze-excite sits between the branch sum and the activation', () => {
    const graph = blockGraph(32, { kernel: 3 }, { outChannels: 32, branches: 1, squeeze: 8 });
    const names = graph.nodes.map((node) => node.name);
    assert.ok(names.indexOf('block.sum') < names.indexOf('block.se.gate'));
    assert.equal(names.at(-1), 'block.relu');
  });

  test('deploy form is one convolution with bias', () => {
    const graph = blockGraph(5, { kernel: 3 }, { outChannels: 5, branches: 4, activation: null }, 'deploy');
    assert.deepEqual(
      graph.nodes.map((node) => node.kind),
      ['conv2d'],
    );
    assert.deepEqual(
      graph.parameters.map(({ value }) => graph.values[value]?.name),
      ['block.weight', 'block.bias'],
    );
  });

  test('a scale branch needs a centred window', () => {
    assert.throws(
      () => blockGraph(4, { kernel: 3, padding: 0 }, { outChannels: 4, branches: 1 }),
      ShapeError,
    );
  });
});

describe('net', () => {
  for (const variant of ['s0', 's1', 's4'] as const)
    test(`${variant}: stage shapes at 224`, () => {
      const stages: readonly OutputName[] = ['stage1', 'stage2', 'stage3', 'stage4'];
      const config = mobileOneConfig(variant);
      const graph = buildMobileOne(config, { form: 'train', outputs: stages });
      const shapes = graph.outputs.map(({ value }) => graph.values[value]?.shape);
      const expected = [56, 28, 14, 7].map((size, i) => [1, size, size, config.stages[i]?.channels]);
      assert.deepEqual(shapes, expected);
    });

  test('skip branches: 35 in S0, 34 in S1–S4', () => {
    for (const [variant, count] of [
      ['s0', 35],
      ['s1', 34],
      ['s2', 34],
      ['s3', 34],
      ['s4', 34],
    ] as const) {
      const graph = buildMobileOne(mobileOneConfig(variant), { form: 'train', height: 64, width: 64 });
      assert.equal(graph.nodes.filter((node) => node.name.endsWith('.skip.bn')).length, count, variant);
    }
  });

  test('impossible configurations and outputs are refused by name', () => {
    assert.throws(() => mobileOneConfig('s0', { widths: [1, 1, 1] }), UsageError);
    assert.throws(
      () => mobileOneConfig('s0', { branches: 0 }),
      /branches must be an integer of at least 1, found 0/,
    );
    assert.throws(
      () => mobileOneConfig('s1', { pairs: [1, 1, 1, 1], squeezeExcite: [0, 0, 0, 2] }),
      /squeeze-excite/,
    );
    assert.throws(
      () => buildMobileOne(mobileOneConfig('s0'), { form: 'train', outputs: ['stage5'] }),
      /stage5/,
    );
    assert.throws(
      () => buildMobileOne(mobileOneConfig('s0', { classes: 0 }), { form: 'train', outputs: ['logits'] }),
      /preLogits/,
    );
  });

  test('other input channels, classes and a single output run', async () => {
    const config = mobileOneConfig('s0', { inChannels: 1, classes: 3, widths: [0.25, 0.25, 0.25, 0.25] });
    const graph = buildMobileOne(config, {
      form: 'train',
      height: 33,
      width: 47,
      outputs: ['preLogits', 'probabilities'],
    });
    const net: Net = { graph, weights: randomStatistics(graph, initialWeights(graph, 'mmpretrain', 1), 2) };
    const random = createRandom(3);
    const image: Tensor = {
      shape: [1, 33, 47, 1],
      data: Float32Array.from({ length: 33 * 47 }, random.normal),
    };
    const session = await referenceEngine.compile(reparameterize(net).graph, reparameterize(net).weights);
    const { preLogits, probabilities } = await session.run({ image });
    assert.deepEqual(preLogits?.shape, [1, 128]);
    let total = 0;
    for (const p of probabilities?.data ?? []) total += p;
    assert.ok(Math.abs(total - 1) < 1e-6);
  });
});

describe('initialisation', () => {
  const graph = buildMobileOne(mobileOneConfig('s1'), { form: 'train', height: 64, width: 64 });
  const deviation = (data: ArrayLike<number>): number =>
    Math.sqrt(Array.from(data).reduce((sum, x) => sum + x * x, 0) / data.length);
  /** [parameter, expected deviation]: √(2/(O·k²)), the same with groups, ±1/√fan-in uniform. */
  const expected = {
    mmpretrain: [
      ['stages.1.3.conv.0.weight', Math.sqrt(2 / 192)],
      ['stages.1.2.conv.0.weight', Math.sqrt(2 / (192 * 9))],
    ],
    timm: [
      ['stages.1.3.conv.0.weight', Math.sqrt(2 / 192)],
      ['stages.1.2.conv.0.weight', Math.sqrt(2 / 9)],
    ],
    apple: [
      ['stages.1.3.conv.0.weight', 1 / Math.sqrt(3 * 192)],
      ['stages.1.2.conv.0.weight', 1 / Math.sqrt(27)],
    ],
  } as const;
  for (const scheme of ['mmpretrain', 'timm', 'apple'] as const)
    test(`${scheme} deviations`, () => {
      const weights = initialWeights(graph, scheme, 11);
      for (const [name, want] of expected[scheme]) {
        const found = deviation(weights.get(name)?.data ?? []);
        assert.ok(Math.abs(found / want - 1) < 0.06, `${name}: ${found} for ${want}`);
      }
      assert.ok(weights.get('stem.scale.bn.gamma')?.data.every((x) => x === 1));
      assert.ok(weights.get('stem.scale.bn.variance')?.data.every((x) => x === 1));
    });

  test('the same seed gives the same weights, another gives others', () => {
    const first = (seed: number) => initialWeights(graph, 'timm', seed).get('head.weight')?.data.join();
    assert.equal(first(1), first(1));
    assert.notEqual(first(1), first(2));
  });
});
