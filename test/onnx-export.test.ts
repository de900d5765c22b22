import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import { type MobileOneError, UsageError, WeightsError } from '../src/errors.ts';
import { encodeOnnx, type OnnxNormalization, type OnnxOptions } from '../src/format/onnx/encode-onnx.ts';
import { type GraphBuilder, graphBuilder } from '../src/graph/builder.ts';
import { graphCost } from '../src/graph/cost.ts';
import { convGeometry } from '../src/graph/geometry.ts';
import { type CheckedGraph, valueAt } from '../src/graph/graph.ts';
import { convLayer } from '../src/graph/layers.ts';
import type { Net } from '../src/graph/net.ts';
import { type ConfigOptions, mobileOneConfig, type VariantName, variantNames } from '../src/model/config.ts';
import { initialWeights, randomStatistics } from '../src/model/initialize.ts';
import { type BuildOptions, buildMobileOne } from '../src/model/mobileone.ts';
import { createRandom } from '../src/tensor/random.ts';
import { maxDifference, type Shape, type Tensor } from '../src/tensor/tensor.ts';
import { caseError, caseGraph, caseOutput, caseValues, type OpCase, runCase } from './cases/op-case.ts';
import { opCases } from './cases/ops.ts';
import { toChannelsFirst, toChannelsLast } from './support/layout.ts';
import { normalTensor } from './support/normal-tensor.ts';
import { importOnnx, NotCovered } from './support/onnx-importer.ts';
import { readOnnx } from './support/onnx-reader.ts';
import { runOnnxFile, skipWithoutRuntime } from './support/onnx-runtime.ts';

function randomTensor(shape: Shape, seed: number): Tensor {
  return normalTensor(shape, createRandom(seed));
}

function mobileOneNet(variant: VariantName, config: ConfigOptions, options: BuildOptions): Net {
  const graph = buildMobileOne(mobileOneConfig(variant, config), options);
  // Apple's scheme keeps values near 1, where gates are neither open nor shut.
  return { graph, weights: randomStatistics(graph, initialWeights(graph, 'apple', 1), 2) };
}

function firstImage({ shape, data }: Tensor): Tensor {
  return { shape: [1, ...shape.slice(1)], data: data.slice(0, data.length / (shape[0] ?? 1)) };
}

async function runReference(net: Net, image: Tensor): Promise<Readonly<Record<string, Tensor>>> {
  const session = await referenceEngine.compile(net.graph, net.weights);
  return session.run({ image });
}

/** Largest relative difference of any output between one file in the runtime and our engine, batch 1 and 2. */
async function compareWithRuntime(
  variant: VariantName,
  config: ConfigOptions,
  options: BuildOptions,
): Promise<number> {
  const one = mobileOneNet(variant, config, options);
  const graph = buildMobileOne(mobileOneConfig(variant, config), { ...options, batch: 2 });
  const two = { graph, weights: one.weights };
  const shape = valueAt(two.graph, two.graph.inputs[0] ?? assert.fail('no input')).shape;
  const images = randomTensor(shape, 3);
  const input = toChannelsFirst(images);
  const runs = await runOnnxFile(encodeOnnx(one), [{ input: firstImage(input) }, { input }]);
  const expected = await runReference(two, images);
  let worst = 0;
  for (const [name, tensor] of Object.entries(expected)) {
    const [single, double] = runs.map((run) => toChannelsLast(run[name] ?? assert.fail(`no output ${name}`)));
    assert.ok(single && double);
    assert.deepEqual([single.shape, double.shape], [firstImage(tensor).shape, tensor.shape], name);
    assert.ok(tensor.data.some((value) => Math.abs(value) > 1e-6));
    worst = Math.max(worst, maxDifference(double, tensor).relative);
    worst = Math.max(worst, maxDifference(single, firstImage(tensor)).relative);
  }
  return worst;
}

/** Windows padded by their kernel or more, which runtimes refuse. */
const isOverPadded = (c: OpCase): boolean => c.kind === 'pool2d' && c.name.includes(' p1,1,2,1 d3x1 ');
const writable = opCases.filter((c) => !isOverPadded(c));

const allOutputs: BuildOptions['outputs'] = [
  'stem',
  'stage1',
  'stage2',
  'stage3',
  'stage4',
  'preLogits',
  'logits',
  'probabilities',
];

const skip = skipWithoutRuntime;

describe('ONNX files in onnxruntime', () => {
  for (const variant of variantNames)
    for (const form of ['train', 'deploy'] as const)
      test(`${variant} ${form} form, batch 1 and 2 from one file`, { skip }, async (t) => {
        const worst = await compareWithRuntime(variant, {}, { form, height: 64, width: 64 });
        t.diagnostic(`largest relative difference ${worst.toExponential(1)}`);
        assert.ok(worst <= 1e-5, `${worst}`);
      });

  test('s0 deploy form at 224', { skip }, async () => {
    const worst = await compareWithRuntime('s0', {}, { form: 'deploy' });
    assert.ok(worst <= 1e-5, `${worst}`);
  });

  for (const form of ['train', 'deploy'] as const)
    test(`output stride 16, squeeze-excite, odd sizes, four channels in, every output, ${form} form`, {
      skip,
    }, async () => {
      const config = { widths: [0.25, 0.25, 0.25, 0.25], inChannels: 4, classes: 7, branches: 2 };
      const options = { form, height: 70, width: 90, outputStride: 16, outputs: allOutputs } as const;
      const worst = await compareWithRuntime('s4', config, options);
      assert.ok(worst <= 1e-5, `${worst}`);
    });

  test('every op case', { skip }, async (t) => {
    let worst = 0;
    for (const c of writable) {
      const graph = caseGraph(c);
      const { inputs, weights } = caseValues(c, graph);
      const bytes = encodeOnnx({ graph, weights });
      const names = Object.keys(inputs).length === 1 ? ['input'] : Object.keys(inputs);
      const feeds = Object.values(inputs).map((tensor, i) => [names[i], toChannelsFirst(tensor)]);
      const [run] = await runOnnxFile(bytes, [Object.fromEntries(feeds)]);
      const actual = toChannelsLast(run?.[caseOutput] ?? assert.fail('no output'));
      const expected = await runCase(referenceEngine, c, 'f64');
      assert.deepEqual(actual.shape, expected.shape, c.name);
      const error = caseError(c, 'f32', actual, expected);
      assert.ok(error <= 1, `${c.name}: ${error} of the tolerance`);
      worst = Math.max(worst, error);
    }
    t.diagnostic(`${writable.length} cases, the worst at ${worst.toFixed(2)} of the tolerance`);
  });

  for (const range of [1, 255] as const)
    test(`included normalization of 0–${range} is the external one, bit for bit`, { skip }, async () => {
      const net = mobileOneNet('s1', { classes: 5 }, { form: 'deploy', height: 33, width: 35 });
      const [mean, std] = [
        [0.485, 0.456, 0.406],
        [0.229, 0.224, 0.225],
      ];
      const random = createRandom(4);
      const pixels = Float32Array.from({ length: 3 * 33 * 35 }, () => random.integer(256) * (range / 255));
      const normalized = pixels.map((value, i) => {
        const c = Math.floor(i / (33 * 35));
        const centred = Math.fround(Math.fround(value / range) - Math.fround(mean[c] ?? 0));
        return centred / Math.fround(std[c] ?? 1);
      });
      const shape = [1, 3, 33, 35];
      const encode = (kind: OnnxNormalization['kind']): Uint8Array =>
        encodeOnnx(net, { normalization: { kind, range, mean, std } });
      const [included] = await runOnnxFile(encode('included'), [{ input: { shape, data: pixels } }]);
      const [external] = await runOnnxFile(encode('external'), [{ input: { shape, data: normalized } }]);
      assert.ok(included?.logits && external?.logits);
      assert.deepEqual(included.logits.data, external.logits.data);
    });

  test('outputs that are inputs, or twice the same, and names that collide', { skip }, async () => {
    const net = plainNet((b) => {
      const x = b.input('x', [1, 2, 3, 4]);
      const relu = b.node('activation', 'input', { fn: 'relu' }, [x]);
      const y = b.node('activation', 'same', { fn: 'sigmoid' }, [relu]);
      b.output('same', x);
      b.output('a', y);
      b.output('b', y);
    });
    const x = randomTensor([1, 4, 2, 3], 5);
    const [run] = await runOnnxFile(encodeOnnx(net), [{ input: x }]);
    assert.deepEqual(run?.same?.data, x.data);
    const sigmoid = x.data.map((value) => 1 / (1 + Math.exp(-Math.max(value, 0)))) as Float32Array;
    for (const name of ['a', 'b'])
      assert.ok(maxDifference(run?.[name] ?? x, { shape: x.shape, data: sigmoid }).absolute < 1e-6);
  });
});

function plainNet(build: (b: GraphBuilder) => void): Net {
  const b = graphBuilder('plain');
  build(b);
  const graph = b.finish();
  return { graph, weights: initialWeights(graph, 'apple', 1) };
}

describe('ONNX files as written', () => {
  test('structure, names, free batch and metadata', () => {
    const size = { form: 'train', height: 64, width: 96 } as const;
    const config = { classes: 3, widths: [0.25, 0.25, 0.25, 0.5], branches: 2 };
    const net = mobileOneNet('s4', config, { ...size, outputs: ['stage4', 'logits'] });
    const normalization = { kind: 'external', range: 255, mean: [0, 0, 0], std: [1, 1, 1] } as const;
    const options: OnnxOptions = {
      inputName: 'picture',
      labels: ['cat', 'dog', 'émeu'],
      transform: '{"resize":256}',
      metadata: { family: 'timm', variant: 's4' },
      producerVersion: '1.2.3',
      normalization,
    };
    const file = readOnnx(encodeOnnx(net, options));
    assert.deepEqual([file.irVersion, file.opset, file.producer], [8, 17, 'mobileone']);
    assert.deepEqual(file.inputs, { picture: ['batch', 3, 64, 96] });
    assert.deepEqual(file.outputs, { stage4: ['batch', 256, 2, 3], logits: ['batch', 3] });
    assert.deepEqual(file.metadata, {
      family: 'timm',
      variant: 's4',
      parameters: String(graphCost(net.graph).parameters),
      normalization: JSON.stringify(normalization),
      labels: '["cat","dog","émeu"]',
      transform: '{"resize":256}',
    });
    const operators = new Set(file.nodes.map((node) => node.op));
    assert.deepEqual([...operators].sort(), [
      'Add',
      'BatchNormalization',
      'Conv',
      'Flatten',
      'Gemm',
      'GlobalAveragePool',
      'Mul',
      'Relu',
      'Sigmoid',
      'Sum',
    ]);
    assert.equal(file.nodes.length, net.graph.nodes.length);
    for (const { value } of net.graph.parameters) {
      const { name, shape } = valueAt(net.graph, value);
      const array = file.initializers[name];
      assert.deepEqual([array?.dtype, array?.dims], ['float32', shape]);
      assert.deepEqual(array?.data, [...(net.weights.get(name)?.data ?? [])]);
    }
    assert.equal(Object.keys(file.initializers).length, net.graph.parameters.length);
  });

  test('the opset rises only where an op needs it', () => {
    const opsets = new Map(
      writable.map((c) => {
        const graph = caseGraph(c);
        const { opset, irVersion } = readOnnx(encodeOnnx({ graph, weights: caseValues(c, graph).weights }));
        return [c, `${opset} ${irVersion}`];
      }),
    );
    for (const [c, found] of opsets) {
      const dilatedAverage = /average.* d\d/.test(c.name);
      const expected = c.kind === 'resizeBilinear' ? '18 8' : dilatedAverage ? '19 9' : '17 8';
      assert.equal(found, expected, c.name);
    }
    assert.deepEqual(new Set(opsets.values()), new Set(['17 8', '18 8', '19 9']));
  });

  test('read back as graphs they give the same numbers', async () => {
    const left: string[] = [];
    for (const c of writable) {
      const graph = caseGraph(c);
      const { inputs, weights } = caseValues(c, graph);
      const file = readOnnx(encodeOnnx({ graph, weights }));
      const names = Object.keys(file.inputs);
      const arrays = Object.values(inputs).map((input, i) => {
        const { shape, data } = toChannelsFirst(input);
        return [names[i], { dtype: 'float32', dims: shape, data: [...data] }];
      });
      try {
        const net = importOnnx({
          ...file,
          inputs: Object.fromEntries(arrays),
          outputs: [caseOutput],
          channels: true,
        });
        const session = await referenceEngine.compile(net.graph, net.weights, { precision: 'f64' });
        const result = (await session.run(net.inputs))[caseOutput] ?? assert.fail('no output');
        const error = caseError(c, 'f32', result, await runCase(referenceEngine, c, 'f64'));
        assert.ok(error <= 1, `${c.name}: ${error}`);
      } catch (error) {
        if (!(error instanceof NotCovered)) throw error;
        left.push(`${c.name}: ${error.message}`);
      }
    }
    assert.deepEqual(left, ['flatten on 1×3×5×4: transposed tensors']);
  });
});

describe('ONNX files that cannot be', () => {
  const identity = (b: GraphBuilder): void => {
    b.output('y', b.node('activation', 'relu', { fn: 'relu' }, [b.input('x', [1, 4, 4, 3])]));
  };
  const pair = (b: GraphBuilder): void => {
    const operands = [b.input('x', [1, 4, 4, 3]), b.input('y', [1, 4, 4, 3])];
    b.output('z', b.node('sum', 'sum', {}, operands));
  };
  const refuses = (build: (b: GraphBuilder) => void, options: OnnxOptions, message: RegExp): void => {
    assert.throws(
      () => encodeOnnx(plainNet(build), options),
      (error: MobileOneError) => {
        assert.match(error.message, message);
        return true;
      },
    );
  };

  test('options that do not fit', () => {
    refuses(identity, { inputName: 'y' }, /"y" would be an input and an output/);
    refuses(pair, { inputName: 'x' }, /inputName needs a graph of one input, but "plain" has 2/);
    const normalization = { kind: 'included', range: 1, mean: [0, 0, 0], std: [1, 1, 1] } as const;
    refuses(pair, { normalization }, /one \[N,H,W,C\] input, but "plain" has 2/);
    refuses(
      identity,
      { normalization: { ...normalization, mean: [0] } },
      /needs 3 means and 3 positive stds/,
    );
    refuses(identity, { normalization: { ...normalization, std: [1, 0, 1] } }, /positive stds, found/);
    assert.throws(() => encodeOnnx(plainNet(identity), { inputName: 'y' }), UsageError);
  });

  test('values without a channels-first form', () => {
    refuses(
      (b) => {
        const x = b.input('x', [1, 4, 4, 3]);
        b.output('y', b.node('sum', 'sum', {}, [x, b.parameter('p', [1, 4, 4, 3], 'bias')]));
      },
      {},
      /sum "sum": input 1 \("p"\) must be computed from the inputs/,
    );
    refuses(
      (b) => {
        const x = b.input('x', [2, 4, 4, 3]);
        const w = b.input('w', [2, 3, 1, 1]);
        b.output('y', b.node('conv2d', 'conv', { geometry: convGeometry({ kernel: 1 }) }, [x, w]));
      },
      {},
      /conv2d "conv": input 1 \("w"\) must be a parameter/,
    );
    refuses((b) => b.output('p', b.parameter('p', [1, 3], 'bias')), {}, /output "p" .* is a parameter/);
    refuses(
      (b) => {
        for (const batch of [1, 2]) b.output(`y${batch}`, b.input(`x${batch}`, [batch, 3]));
      },
      {},
      /"x2" must have the batch of 1 as its first axis/,
    );
  });

  test('pooling windows padded by their kernel or more', () => {
    const overPadded = opCases.filter(isOverPadded);
    assert.equal(overPadded.length, 3);
    for (const c of overPadded)
      refuses(
        (b) => b.output(caseOutput, [c.build(b)].flat()[0] ?? assert.fail(c.name)),
        {},
        /padding \[1,1,2,1\] must be less than the 2×3 kernel/,
      );
  });

  test('missing and misshapen weights, all at once', () => {
    const net = plainNet((b) => {
      const x = b.input('x', [1, 4, 4, 3]);
      b.output('y', convLayer(b, 'conv', x, 2, convGeometry({ kernel: 1 }), { bias: true }));
    });
    const weights = new Map([['conv.weight', { shape: [2], data: new Float32Array(2) }]]);
    assert.throws(
      () => encodeOnnx({ graph: net.graph, weights }),
      (error: unknown) =>
        error instanceof WeightsError &&
        /"conv.weight" must be \[2,3,1,1\], found \[2\]; "conv.bias" \[2\] is missing/.test(error.message),
    );
  });

  test('more than a file can hold, found before any weight is read', () => {
    const b = graphBuilder('large');
    const weight = b.parameter('weight', [40000, 20000], 'weight');
    b.output('y', b.node('linear', 'linear', {}, [b.input('x', [1, 20000]), weight]));
    const graph: CheckedGraph = b.finish();
    assert.throws(
      () => encodeOnnx({ graph, weights: new Map() }),
      /needs 3200004096 bytes, but one ONNX file holds/,
    );
  });
});
