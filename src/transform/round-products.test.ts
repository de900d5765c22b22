/** Centred activations and rounded products: what a net computes, and how near to it bf16 weights stay. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { referenceEngine } from '../engine/reference/reference-engine.ts';
import { graphBuilder } from '../graph/builder.ts';
import { convGeometry } from '../graph/geometry.ts';
import type { CheckedGraph } from '../graph/graph.ts';
import { activationLayer, convLayer, linearLayer } from '../graph/layers.ts';
import type { Net } from '../graph/net.ts';
import { initialWeights } from '../model/initialize.ts';
import { bfloat16ToNumber, numberToBfloat16 } from '../tensor/half.ts';
import { createRandom } from '../tensor/random.ts';
import { maxDifference, type Tensor, type Weights, zeros } from '../tensor/tensor.ts';
import { centreActivations } from './centre-activations.ts';
import { momentSums, momentsGraph, type ProductMoments } from './product-moments.ts';
import { productsOf } from './products.ts';
import { roundProducts } from './round-products.ts';

const SHAPE = [1, 8, 8, 4];
const depthwise = (channels: number) => convGeometry({ kernel: 3, groups: channels });
const point = convGeometry({ kernel: 1 });

/** depthwise → pointwise → depthwise → pointwise → pool → linear, a relu after each convolution. */
const graph = (() => {
  const b = graphBuilder('net');
  let x = b.input('x', SHAPE);
  const block = (name: string, channels: number, geometry: typeof point): void => {
    x = activationLayer(
      b,
      `${name}.relu`,
      convLayer(b, name, x, channels, geometry, { bias: true, parameters: name }),
      'relu',
    );
  };
  block('lift', 32, convGeometry({ kernel: 3 }));
  block('a', 32, depthwise(32));
  block('b', 48, point);
  block('c', 48, depthwise(48));
  block('d', 24, point);
  const pooled = b.node('flatten', 'flat', {}, [b.node('globalAveragePool', 'pool', {}, [x])]);
  b.output('y', linearLayer(b, 'head', pooled, 10));
  return b.finish();
})();

const random = createRandom(2);
const weights: Weights = new Map(
  [...initialWeights(graph, 'timm', 1)].map(([name, { shape, data }]) => [
    name,
    name.endsWith('bias')
      ? { shape, data: Float32Array.from(data, () => 0.5 * random.normal()) }
      : { shape, data },
  ]),
);
const net: Net = { graph, weights };
/** Neighbours are much alike, as in photos. */
const pictures = Array.from({ length: 12 }, (): Tensor => {
  const [x, y, z] = [random.normal(), random.normal(), random.normal()];
  return {
    shape: SHAPE,
    data: Float32Array.from(
      { length: 256 },
      (_, i) => Math.sin(x * (i >> 5) + y * ((i >> 2) & 7) + z * (i & 3)) + 0.1 * random.normal(),
    ),
  };
});

async function run(
  { graph, weights }: Net,
  inputs: readonly Tensor[],
): Promise<readonly Record<string, Tensor>[]> {
  const session = await referenceEngine.compile(graph, weights, { precision: 'f64' });
  const found: Record<string, Tensor>[] = [];
  for (const x of inputs) found.push({ ...(await session.run({ x })) });
  return found;
}

async function momentsOf({ graph, weights }: Net): Promise<ProductMoments> {
  const sums = momentSums(graph);
  for (const outputs of await run({ graph: momentsGraph(graph), weights }, pictures)) sums.add(outputs);
  return sums.moments();
}

const activationsOf = ({ nodes }: CheckedGraph): readonly string[] =>
  nodes.flatMap((node) => (node.kind === 'activation' ? [node.attrs.fn] : []));
const nearest = (value: number): number => bfloat16ToNumber(numberToBfloat16(value));

/** Root mean square of what outputs differ by. */
async function distance(one: Net, other: Net): Promise<number> {
  const [a, b] = [await run(one, pictures), await run(other, pictures)];
  let [sum, count] = [0, 0];
  for (const [i, outputs] of a.entries())
    for (const [name, { data }] of Object.entries(outputs))
      data.forEach((value, at) => {
        sum += (value - (b[i]?.[name]?.data[at] ?? 0)) ** 2;
        count++;
      });
  return Math.sqrt(sum / count);
}

describe('centred activations', () => {
  test('leave a net what it was, where a product alone reads relu of a convolution', async () => {
    const { net: centred } = centreActivations(net, await momentsOf(net));
    assert.deepEqual(activationsOf(centred.graph), [
      'relu',
      'shiftedRelu',
      'relu',
      'shiftedRelu',
      'shiftedRelu',
    ]);
    const [before, after] = [await run(net, pictures), await run(centred, pictures)];
    before.forEach(({ y = zeros([0]) }, i) => {
      assert.ok(maxDifference(after[i]?.y ?? zeros([0]), y).absolute < 1e-5);
    });
  });

  test('have moments that follow from those before, with means of 0', async () => {
    const { net: centred, moments } = centreActivations(net, await momentsOf(net));
    const measured = await momentsOf(centred);
    for (const [name, { mean, covariance }] of measured) {
      const known = moments.get(name);
      mean.forEach((value, i) => {
        assert.ok(Math.abs(value - (known?.mean[i] ?? 9)) < 1e-4, name);
      });
      covariance?.forEach((value, i) => {
        const size = Math.abs(value) + Math.abs(covariance[i % mean.length] ?? 0);
        assert.ok(Math.abs(value - (known?.covariance?.[i] ?? 9)) < 1e-3 * (1 + size), name);
      });
    }
    for (const name of ['b.weight', 'd.weight'])
      assert.ok(
        measured.get(name)?.mean.every((value) => value < 1e-4),
        name,
      );
  });

  test('what an output or a second node reads stays as it is', async () => {
    const relu = graph.nodes.find(({ name }) => name === 'a.relu')?.outputs[0];
    assert.ok(relu !== undefined);
    const shown = { ...graph, outputs: [...graph.outputs, { name: 'seen', value: relu }] } as CheckedGraph;
    const { net: centred } = centreActivations({ graph: shown, weights }, await momentsOf(net));
    assert.deepEqual(activationsOf(centred.graph), ['relu', 'relu', 'relu', 'shiftedRelu', 'shiftedRelu']);
  });
});

describe('rounded products', () => {
  test('are bf16 numbers, which the engine leaves alone', async () => {
    const rounded = roundProducts(net, await momentsOf(net));
    for (const { weight } of productsOf(graph))
      for (const value of rounded.get(weight)?.data ?? [Number.NaN]) assert.equal(nearest(value), value);
  });

  test('change what a net gives three times less than weights rounded one by one, also when centred', async () => {
    const products = new Set(productsOf(graph).map(({ weight }) => weight));
    const each = new Map(
      [...weights].map(([name, { shape, data }]) => [
        name,
        products.has(name) ? { shape, data: Float32Array.from(data, nearest) } : { shape, data },
      ]),
    );
    const plain = await distance(net, { graph, weights: each });
    const moments = await momentsOf(net);
    const centred = centreActivations(net, moments);
    for (const one of [{ net, moments }, centred]) {
      const rounded = { graph: one.net.graph, weights: roundProducts(one.net, one.moments) };
      const found = await distance(net, rounded);
      assert.ok(found < plain / 3, `${found} together, ${plain} each`);
    }
  });

  test('a row may be larger where the depthwise convolution behind takes it back, and only there', async () => {
    const rounded = roundProducts(net, await momentsOf(net));
    const ratios = (name: string): readonly number[] => {
      const [before, after] = [weights.get(name)?.data ?? [], rounded.get(name)?.data ?? []];
      return Array.from(after, (value, i) => (before[i] ?? 0) / value);
    };
    assert.ok(ratios('c.weight').some((ratio) => ratio > 1.2));
    assert.ok(ratios('c.weight').every((ratio) => ratio > 0.999 && ratio < 2.001));
    // Weights are lowest where the steps are coarse against them.
    const kept = ratios('d.weight').filter((ratio) => Math.abs(ratio - 1) < 0.02).length;
    assert.ok(kept > 0.9 * ratios('d.weight').length);
    assert.equal(rounded.get('c.bias'), weights.get('c.bias'));
  });

  test('products without moments keep their tensors', () => {
    const same = roundProducts(net, new Map());
    for (const [name, tensor] of weights) assert.equal(same.get(name), tensor);
  });
});
