import assert from 'node:assert/strict';
import { test } from 'node:test';
import { referenceEngine } from '../engine/reference/reference-engine.ts';
import { graphBuilder } from '../graph/builder.ts';
import { convGeometry } from '../graph/geometry.ts';
import { convLayer } from '../graph/layers.ts';
import { initialWeights } from '../model/initialize.ts';
import { bfloat16ToNumber, numberToBfloat16 } from '../tensor/half.ts';
import { createRandom } from '../tensor/random.ts';
import type { Tensor, Weights } from '../tensor/tensor.ts';
import { balanceRounding, productMeans } from './balance-rounding.ts';

const graph = (() => {
  const b = graphBuilder('net');
  const x = b.input('x', [1, 5, 4, 24]);
  const dense = convLayer(b, 'dense', x, 32, convGeometry({ kernel: 1 }), { bias: true });
  const lone = convLayer(b, 'lone', dense, 32, convGeometry({ kernel: 1, groups: 32 }));
  b.output('y', convLayer(b, 'last', lone, 8, convGeometry({ kernel: 1 }), { bias: true }));
  return b.finish();
})();

const random = createRandom(2);
const weights = initialWeights(graph, 'timm', 1);
const x = { shape: [1, 5, 4, 24], data: Float32Array.from({ length: 480 }, () => 3 + random.normal()) };

const run = async (given: Weights, of = graph): Promise<Readonly<Record<string, Tensor>>> => {
  const session = await referenceEngine.compile(of, given, { precision: 'f64' });
  return session.run({ x });
};

const rounded = (given: Weights): Weights =>
  new Map(
    [...given].map(([name, tensor]) => [
      name,
      name.startsWith('lone') || name.endsWith('bias')
        ? tensor
        : {
            ...tensor,
            data: Float32Array.from(tensor.data, (v) => bfloat16ToNumber(numberToBfloat16(v))),
          },
    ]),
  );

/** Of each channel, over positions. */
function meansOf({ shape, data }: Tensor): readonly number[] {
  const channels = shape.at(-1) ?? 0;
  const sums = new Array<number>(channels).fill(0);
  data.forEach((value, i) => {
    sums[i % channels] = (sums[i % channels] ?? 0) + value / (data.length / channels);
  });
  return sums;
}

test('outputs are what dense layers read on average, by the names of their weights', async () => {
  const means = await run(weights, productMeans(graph));
  assert.deepEqual(Object.keys(means), ['dense.weight', 'last.weight']);
  const expected = meansOf(x);
  means['dense.weight']?.data.forEach((value, i) => {
    assert.ok(Math.abs(value - (expected[i] ?? 0)) < 1e-12);
  });
});

test('a layer with rounded weights and a balanced bias gives the mean it gave before', async () => {
  const found = await run(weights, productMeans(graph));
  const means = new Map(Object.entries(found).map(([name, { data }]) => [name, data]));
  const balanced = balanceRounding(graph, weights, means);
  for (const [name, tensor] of weights)
    if (!['dense.bias', 'last.bias'].includes(name)) assert.equal(balanced.get(name), tensor);
  const [exact, plain, better] = await Promise.all(
    [weights, rounded(weights), rounded(balanced)].map(async (given) => meansOf((await run(given)).y ?? x)),
  );
  const worst = (values: readonly number[] = []): number =>
    Math.max(...values.map((value, i) => Math.abs(value - (exact?.[i] ?? 0))));
  assert.ok(worst(plain) > 1e-3, `rounding shifts means: ${worst(plain)}`);
  // Biases are f32.
  assert.ok(worst(better) < 1e-6, `${worst(better)}`);
});

test('layers without means keep their biases', () => {
  const same = balanceRounding(graph, weights, new Map());
  for (const [name, tensor] of weights) assert.equal(same.get(name), tensor);
});
