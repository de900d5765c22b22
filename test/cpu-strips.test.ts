/** Nets with a large picture between two convolutions, which native code computes in strips, against the reference. */

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import { type GraphBuilder, graphBuilder } from '../src/graph/builder.ts';
import { convGeometry } from '../src/graph/geometry.ts';
import type { CheckedGraph, ValueId } from '../src/graph/graph.ts';
import { activationLayer, convLayer } from '../src/graph/layers.ts';
import { initialWeights } from '../src/model/initialize.ts';
import { createRandom } from '../src/tensor/random.ts';
import { maxDifference, zeros } from '../src/tensor/tensor.ts';
import { engine, pool, skipTarget, targets } from './support/cpu.ts';
import { normalTensor } from './support/normal-tensor.ts';

after(() => pool.dispose());

const shape = [1, 181, 140, 3];
const channels = 46;
const image = normalTensor(shape, createRandom(5));

const relu = (b: GraphBuilder, x: ValueId): ValueId => activationLayer(b, `relu ${x}`, x, 'relu');
const stem = (b: GraphBuilder, x: ValueId): ValueId =>
  relu(b, convLayer(b, `stem ${x}`, x, channels, convGeometry({ kernel: 3, stride: [2, 1] })));
const depthwise = (b: GraphBuilder, x: ValueId, stride: number, dilation = 1): ValueId =>
  relu(
    b,
    convLayer(b, `dw ${x}`, x, channels, convGeometry({ kernel: 3, stride, dilation, groups: channels })),
  );

function graphOf(build: (b: GraphBuilder, x: ValueId) => void): CheckedGraph {
  const b = graphBuilder('strips');
  build(b, b.input('x', shape));
  return b.finish();
}

const inStrips = 'conv2d+relu+conv2d+relu';

/** Graphs, and the ops of the tasks that they become in native code. */
const nets: readonly { readonly graph: CheckedGraph; readonly ops: readonly string[] }[] = [
  {
    graph: graphOf((b, x) => b.output('y', depthwise(b, stem(b, x), 2))),
    ops: [inStrips],
  },
  {
    graph: graphOf((b, x) => b.output('y', depthwise(b, stem(b, x), 1, 3))),
    ops: [inStrips],
  },
  {
    graph: graphOf((b, x) =>
      b.output(
        'y',
        depthwise(b, relu(b, convLayer(b, 'point', x, channels, convGeometry({ kernel: 1 }))), 2),
      ),
    ),
    ops: [inStrips],
  },
  // Two and two: a result in strips is not cut again.
  {
    graph: graphOf((b, x) => b.output('y', depthwise(b, depthwise(b, depthwise(b, stem(b, x), 1), 1), 2))),
    ops: [inStrips, inStrips],
  },
  // What others read too must be there as a whole.
  {
    graph: graphOf((b, x) => {
      const between = stem(b, x);
      b.output('between', between);
      b.output('y', depthwise(b, between, 2));
    }),
    ops: ['conv2d+relu', 'conv2d+relu'],
  },
  {
    graph: graphOf((b, x) => {
      const between = stem(b, x);
      b.output('y', b.node('sum', 'sum', {}, [depthwise(b, between, 1), between]));
    }),
    ops: ['conv2d+relu', 'conv2d+relu', 'sum'],
  },
];

const expected = nets.map(async ({ graph }) => {
  const session = await referenceEngine.compile(graph, initialWeights(graph, 'timm', 1), {
    precision: 'f64',
  });
  return session.run({ x: image });
});

for (const target of targets)
  describe(`strips in nets on ${target}`, { skip: skipTarget(target) }, () => {
    for (const threads of [1, 2, 3])
      test(`threads ${threads}`, async () => {
        for (const [i, { graph, ops }] of nets.entries()) {
          const weights = initialWeights(graph, 'timm', 1);
          const session = await engine.compile(graph, weights, { target, threads, profile: true });
          await session.run({ x: image });
          const found = await session.run({ x: image });
          const native = !target.startsWith('wasm');
          const tasks = (session.profile?.() ?? []).map((task) => task.ops);
          session.dispose();
          if (native) assert.deepEqual(tasks, ops);
          else assert.ok(!tasks.includes(inStrips));
          const want = await (expected[i] ?? assert.fail());
          for (const [name, tensor] of Object.entries(want)) {
            const { relative } = maxDifference(found[name] ?? zeros([0]), tensor);
            assert.ok(relative <= 1e-5, `net ${i}, ${name}: ${relative}`);
          }
        }
      });
  });

/** Two blocks as MobileOne has them; 28 rows are seven for each of four threads, 27 no even share for four. */
function blocks(rows: number): CheckedGraph {
  const b = graphBuilder('blocks');
  let x = b.input('x', [1, rows, 9, 24]);
  for (const i of [1, 2]) {
    const geometry = convGeometry({ kernel: 3, groups: 24 });
    x = relu(b, convLayer(b, `dw ${i}`, x, 24, geometry));
    x = relu(b, convLayer(b, `pw ${i}`, x, 24, convGeometry({ kernel: 1 })));
  }
  b.output('y', x);
  return b.finish();
}

for (const target of ['avx512', 'avx2'] as const)
  test(`blocks are computed by shares of rows where threads would wait for each other, on ${target}`, {
    skip: skipTarget(target),
  }, async () => {
    for (const [rows, threads, joined] of [
      [28, 1, false],
      [28, 2, true],
      [28, 4, true],
      [27, 2, true],
      [10, 4, false],
    ] as const) {
      const graph = blocks(rows);
      const weights = initialWeights(graph, 'timm', 1);
      const x = { shape: [1, rows, 9, 24], data: image.data.subarray(0, rows * 9 * 24) };
      const session = await engine.compile(graph, weights, { target, threads, profile: true });
      const { y = zeros([0]) } = await session.run({ x });
      const tasks = (session.profile?.() ?? []).map((task) => task.ops);
      session.dispose();
      assert.equal(tasks.length, joined ? 2 : 4, `${rows} rows, ${threads} threads`);
      const reference = await referenceEngine.compile(graph, weights, { precision: 'f64' });
      const { y: want = zeros([0]) } = await reference.run({ x });
      assert.ok(maxDifference(y, want).relative <= 1e-5);
    }
  });

for (const precision of ['bf16', 'bf16x2'] as const)
  test(`${precision} in strips gives what it gives apart`, { skip: skipTarget('avx512') }, async (t) => {
    const [one = assert.fail(), , , , apart = assert.fail()] = nets;
    const run = async (graph: CheckedGraph, threads: number) => {
      const weights = initialWeights(one.graph, 'timm', 1);
      const session = await engine.compile(graph, weights, { precision, threads });
      const { y = zeros([0]) } = await session.run({ x: image });
      session.dispose();
      return y.data;
    };
    const whole = await run(apart.graph, 1).catch((error: Error) => error);
    if (whole instanceof Error) {
      t.skip(whole.message);
      return;
    }
    for (const threads of [1, 2]) assert.deepEqual(await run(one.graph, threads), whole);
  });
