/** Merged blocks train as separate branches do: results, every gradient and running statistics, step after step. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { CompileOptions, Engine } from '../src/engine/engine.ts';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import { type GraphBuilder, graphBuilder } from '../src/graph/builder.ts';
import { convGeometry } from '../src/graph/geometry.ts';
import {
  type CheckedGraph,
  isLearned,
  type ParameterRole,
  type ValueId,
  valueAt,
} from '../src/graph/graph.ts';
import { activationLayer, convLayer, linearLayer } from '../src/graph/layers.ts';
import { createRandom } from '../src/tensor/random.ts';
import { elementCount, maxDifference, type Tensor, type Weights } from '../src/tensor/tensor.ts';
import { differentiate } from '../src/transform/differentiate.ts';
import { mergeBranches } from '../src/transform/merge-branches.ts';
import { engine, pool } from './support/cpu.ts';
import { type BlockSizes, trainingBlock } from './support/training-block.ts';

after(() => pool.dispose());

const batch = 4;

/** A dense stem, depthwise and pointwise blocks with every k from 1 to 5, one of them gated; then a classifier. */
function net(stride: number, dilation: number): CheckedGraph {
  const b = graphBuilder('net');
  let at = b.input('x', [batch, 9, 8, 3]);
  const add = (name: string, sizes: Omit<BlockSizes, 'from'>): void => {
    const from = b.shape(at)[3] ?? 0;
    at = trainingBlock(b, name, at, { from, ...sizes });
  };
  add('stem', { to: 6, geometry: { kernel: 3, stride: 2 }, branches: 4, scale: true });
  add('a', { to: 6, geometry: { kernel: 3, groups: 6, dilation }, branches: 5, scale: true, skip: true });
  add('b', { to: 6, geometry: { kernel: 1 }, branches: 3, skip: true });
  add('c', { to: 6, geometry: { kernel: 3, groups: 6, stride }, branches: 1, scale: true, fn: null });
  at = gate(b, at);
  add('d', { to: 8, geometry: { kernel: 1 }, branches: 2 });
  const flat = b.node('flatten', 'flat', {}, [b.node('globalAveragePool', 'mean', {}, [at])]);
  const logits = linearLayer(b, 'classifier', flat, 5);
  b.output('logits', logits);
  b.output(
    'loss',
    b.node('crossEntropy', 'loss', { smoothing: 0.1 }, [logits, b.input('targets', [batch, 5])]),
  );
  return b.finish();
}

function gate(b: GraphBuilder, x: ValueId): ValueId {
  const point = convGeometry({ kernel: 1 });
  const inner = convLayer(b, 'se.0', b.node('globalAveragePool', 'se.mean', {}, [x]), 3, point, {
    bias: true,
  });
  const outer = convLayer(b, 'se.1', activationLayer(b, 'se.relu', inner, 'relu'), 6, point, { bias: true });
  const gated = b.node('multiply', 'se.gate', {}, [x, activationLayer(b, 'se.sigmoid', outer, 'sigmoid')]);
  return activationLayer(b, 'se.out', gated, 'relu');
}

/** The net, its backward pass and SGD; gradients are outputs. */
function stepOf(graph: CheckedGraph): CheckedGraph {
  const loss = graph.outputs.find(({ name }) => name === 'loss')?.value ?? assert.fail();
  const { graph: both, gradients } = differentiate(graph, loss);
  const b = graphBuilder('step', both);
  const rates = b.input('rates', [2]);
  const attrs = { momentum: 0.9, nesterov: false, rateScale: 1, decayScale: 1 };
  for (const { value, role } of both.parameters) {
    if (!isLearned(role)) continue;
    const { name, shape } = valueAt(both, value);
    const gradient = gradients.get(value) ?? assert.fail(name);
    b.output(`gradient of ${name}`, gradient);
    const velocity = b.parameter(`${name}.velocity`, shape, 'state');
    const [next, speed] = b.results('sgd', `${name}.sgd`, attrs, [value, gradient, velocity, rates]);
    b.update(value, next ?? assert.fail());
    b.update(velocity, speed ?? assert.fail());
  }
  return b.finish();
}

const starts: { readonly [R in ParameterRole]: (normal: number) => number } = {
  weight: (normal) => normal / 2,
  bias: (normal) => normal / 10,
  gamma: (normal) => 1 + normal / 4,
  beta: (normal) => normal / 4,
  mean: () => 0,
  variance: () => 1,
  state: () => 0,
};

function weightsOf(graph: CheckedGraph): Weights {
  const random = createRandom(5);
  // By name, since two forms of a net list the same parameters.
  return new Map(
    graph.parameters.map(({ value, role }) => {
      const { name, shape } = valueAt(graph, value);
      const data = Float32Array.from({ length: elementCount(shape) }, () => starts[role](random.normal()));
      return [name, { shape, data }];
    }),
  );
}

function inputsOf(step: number): Readonly<Record<'x' | 'targets' | 'rates', Tensor>> {
  const random = createRandom(1000 + step);
  const pixels = Float32Array.from({ length: batch * 9 * 8 * 3 }, () => random.normal() + 0.5);
  const targets = new Float32Array(batch * 5);
  for (let row = 0; row < batch; row++) targets[row * 5 + random.integer(5)] = 1;
  return {
    x: { shape: [batch, 9, 8, 3], data: pixels },
    targets: { shape: [batch, 5], data: targets },
    rates: { shape: [2], data: Float32Array.from([0.02, 1e-4]) },
  };
}

type Results = Readonly<Record<string, Tensor>>;

/** All outputs of the first step, then what parameters are after the last. */
async function train(
  engine: Engine,
  graph: CheckedGraph,
  steps: number,
  options: CompileOptions,
): Promise<readonly [first: Results, last: Results]> {
  const session = await engine.compile(graph, weightsOf(graph), options);
  const first = await session.run(inputsOf(0));
  const kept = Object.fromEntries(
    Object.entries(first).map(([name, { shape, data }]) => [name, { shape, data: Float64Array.from(data) }]),
  );
  for (let step = 1; step < steps; step++) await session.run(inputsOf(step));
  const last = Object.fromEntries(session.state());
  session.dispose();
  return [kept, last];
}

function assertSame(found: Results, expected: Results, tolerance: number): void {
  assert.deepEqual(Object.keys(found).sort(), Object.keys(expected).sort());
  for (const [name, want] of Object.entries(expected)) {
    const { absolute } = maxDifference(found[name] ?? assert.fail(name), want);
    const scale = Math.max(...want.data.map(Math.abs));
    assert.ok(absolute <= tolerance * (scale + 1e-3), `${name}: ${absolute} of ${scale}`);
  }
}

for (const [stride, dilation] of [
  [1, 1],
  [2, 2],
] as const)
  describe(`merged blocks, stride ${stride}, dilation ${dilation}`, () => {
    const apart = net(stride, dilation);
    const merged = mergeBranches(apart, { choose: 'all' });

    test('are merged', () => {
      assert.equal(merged.nodes.filter(({ kind }) => kind === 'mergeBranches').length, 5);
      assert.ok(!merged.nodes.some(({ kind }) => kind === 'normSum'));
    });

    test('train as separate branches in f64, and to rounding in f32', async () => {
      const options = { precision: 'f64' } as const;
      const [first, last] = await train(referenceEngine, stepOf(merged), 20, options);
      const [firstApart, lastApart] = await train(referenceEngine, stepOf(apart), 20, options);
      assertSame(first, firstApart, 1e-10);
      assertSame(last, lastApart, 1e-8);
      // In f32 both forms are as far from this as rounding takes them.
      for (const graph of [apart, merged]) {
        const [firstNarrow, lastNarrow] = await train(engine, stepOf(graph), 20, {});
        assertSame(firstNarrow, firstApart, 2e-4);
        assertSame(lastNarrow, lastApart, 5e-4);
      }
    });
  });
