/** Graphs that renew their parameters: the CPU engine's runs and states against the reference engine's. */

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import { type GraphBuilder, graphBuilder } from '../src/graph/builder.ts';
import { type CheckedGraph, valueAt } from '../src/graph/graph.ts';
import { createRandom } from '../src/tensor/random.ts';
import { maxDifference, type Tensor, zeros } from '../src/tensor/tensor.ts';
import { engine, pool, skipTarget, targets } from './support/cpu.ts';
import { normalTensor } from './support/normal-tensor.ts';

after(() => pool.dispose());

const shape = [2, 3, 3, 5];

/** Each a way in which an old and a new value can depend on each other. */
const graphs: { readonly [name: string]: (b: GraphBuilder) => void } = {
  'a value takes its parameter’s place': (b) => {
    const [x, p] = [b.input('x', shape), b.parameter('p', shape, 'state')];
    const next = b.node('sum', 'next', {}, [p, x]);
    b.update(p, next);
    b.output('y', next);
  },
  'the old value is needed later': (b) => {
    const [x, p] = [b.input('x', shape), b.parameter('p', shape, 'state')];
    const next = b.node('sum', 'next', {}, [x, p]);
    b.update(p, next);
    b.output('y', b.node('multiply', 'm', {}, [b.node('softmax', 's', {}, [next]), p]));
  },
  'parameters change places, and one is an output': (b) => {
    const [x, p, q] = [
      b.input('x', shape),
      b.parameter('p', shape, 'state'),
      b.parameter('q', shape, 'state'),
    ];
    b.update(p, q);
    b.update(q, p);
    b.output('p', p);
    b.output('y', b.node('sum', 'y', {}, [x, p]));
  },
  'an input, a view of it, and one value for two parameters': (b) => {
    const x = b.input('x', shape);
    const [p, q] = [b.parameter('p', shape, 'state'), b.parameter('q', [2, 45], 'state')];
    const [r, s] = [b.parameter('r', shape, 'state'), b.parameter('s', shape, 'state')];
    const next = b.node('activation', 'next', { fn: 'sigmoid' }, [b.node('sum', 'sum', {}, [r, x])]);
    b.update(p, x);
    b.update(q, b.node('flatten', 'flat', {}, [x]));
    b.update(r, next);
    b.update(s, next);
    b.output('y', b.node('softmax', 'soft', {}, [next]));
  },
  'numbers that never change': (b) => {
    const [x, p] = [b.input('x', shape), b.parameter('p', shape, 'state')];
    const half = b.node('constant', 'half', { shape, value: 0.5 }, []);
    b.update(p, half);
    b.output('half', half);
    b.output('y', b.node('multiply', 'y', {}, [b.node('sum', 's', {}, [p, half]), x]));
  },
  'a parameter that stays as it is, and a task that cannot write over what it reads': (b) => {
    const [x, p, q] = [
      b.input('x', shape),
      b.parameter('p', shape, 'state'),
      b.parameter('q', shape, 'state'),
    ];
    b.update(p, p);
    b.update(q, b.node('softmax', 'next', {}, [b.node('sum', 'sum', {}, [q, x])]));
    b.update(b.parameter('r', shape, 'state'), b.node('softmax', 'other', {}, [p]));
    b.output('y', b.node('sum', 'y', {}, [p, q]));
  },
  'means of some runs, taken where the gate is open': (b) => {
    const [x, open] = [b.input('x', shape), b.input('open', [1])];
    const [sum, p, q, copy] = ['sum', 'p', 'q', 'copy'].map((name) => b.parameter(name, shape, 'state'));
    if (sum === undefined || p === undefined || q === undefined || copy === undefined) return;
    const next = b.node('sum', 'next', {}, [sum, x]);
    b.update(sum, next);
    b.update(copy, next);
    b.output('y', b.node('softmax', 'soft', {}, [next]));
    b.gate(open);
    b.update(p, b.node('sum', 'later', {}, [p, next]));
    b.update(q, b.node('softmax', 'latest', {}, [b.node('multiply', 'm', {}, [p, q])]));
  },
  'a view behind the gate of what was computed before it, and exchanges': (b) => {
    const [x, open] = [b.input('x', shape), b.input('open', [1])];
    const [p, q, flat] = [
      b.parameter('p', shape, 'state'),
      b.parameter('q', shape, 'state'),
      b.parameter('flat', [2, 45], 'state'),
    ];
    const next = b.node('softmax', 'next', {}, [b.node('sum', 'sum', {}, [x, q])]);
    b.output('y', next);
    b.gate(open);
    b.update(flat, b.node('flatten', 'seen', {}, [next]));
    b.update(p, q);
    b.update(q, p);
  },
};

function build(name: string, make: (b: GraphBuilder) => void): CheckedGraph {
  const b = graphBuilder(name);
  make(b);
  return b.finish();
}

const random = createRandom(5);
const normal = (dims: readonly number[]): Tensor => normalTensor(dims, random);

for (const target of targets)
  for (const threads of [1, 2])
    describe(`updates on ${target}, threads ${threads}`, { skip: skipTarget(target) }, () => {
      for (const [name, make] of Object.entries(graphs))
        test(name, async () => {
          const graph = build(name, make);
          const weights = new Map(
            graph.parameters.map(({ value }) => [
              valueAt(graph, value).name,
              normal(valueAt(graph, value).shape),
            ]),
          );
          const reference = await referenceEngine.compile(graph, weights);
          const session = await engine.compile(graph, weights, { target, threads });
          for (let step = 0; step < 4; step++) {
            const open = { shape: [1], data: Float32Array.of(step % 2) };
            const inputs = { x: normal(shape), ...(graph.gate && { open }) };
            const [want, got] = [await reference.run(inputs), await session.run(inputs)];
            for (const each of graph.outputs) close(got[each.name], want[each.name], each.name);
            const [state, expected] = [session.state(), reference.state()];
            assert.deepEqual([...state.keys()], [...expected.keys()]);
            for (const [key, tensor] of expected) close(state.get(key), tensor, key);
          }
          session.dispose();
          assert.throws(() => session.state(), /disposed/);
        });
    });

/** A linear layer that learns y = x·Wᵀ by gradient descent, all of it one graph. */
function learner(): CheckedGraph {
  const b = graphBuilder('learner');
  const [x, minusWanted] = [b.input('x', [16, 5]), b.input('minusWanted', [16, 3])];
  const weight = b.parameter('weight', [3, 5], 'weight');
  const error = b.node('sum', 'error', {}, [b.node('linear', 'y', {}, [x, weight]), minusWanted]);
  const gradient = b.node('matmul', 'gradient', { transposeA: true, transposeB: false }, [error, x]);
  const rate = b.node('constant', 'rate', { shape: [3, 5], value: -0.02 }, []);
  const step = b.node('multiply', 'step', {}, [gradient, rate]);
  b.update(weight, b.node('sum', 'next', {}, [weight, step]));
  b.output('error', error);
  return b.finish();
}

for (const target of targets)
  for (const threads of [1, 2])
    test(`a graph that learns, ${target}, threads ${threads}`, { skip: skipTarget(target) }, async () => {
      const graph = learner();
      const weights = new Map([['weight', zeros([3, 5])]]);
      const wanted = normal([3, 5]);
      const reference = await referenceEngine.compile(graph, weights);
      const session = await engine.compile(graph, weights, { target, threads });
      for (let step = 0; step < 60; step++) {
        const x = normal([16, 5]);
        const minusWanted = zeros([16, 3]);
        for (let i = 0; i < 48; i++)
          for (let j = 0; j < 5; j++)
            minusWanted.data[i] =
              (minusWanted.data[i] ?? 0) -
              (x.data[Math.floor(i / 3) * 5 + j] ?? 0) * (wanted.data[(i % 3) * 5 + j] ?? 0);
        const [want, got] = [await reference.run({ x, minusWanted }), await session.run({ x, minusWanted })];
        close(got.error, want.error, `error of step ${step}`);
        close(session.state().get('weight'), reference.state().get('weight'), `step ${step}`);
      }
      const { absolute } = maxDifference(session.state().get('weight') ?? zeros([0]), wanted);
      assert.ok(absolute < 0.01, `learned to ${absolute}`);
      session.dispose();
    });

function close(found: Tensor | undefined, wanted: Tensor | undefined, name: string): void {
  assert.deepEqual(found?.shape, wanted?.shape);
  assert.ok(maxDifference(found ?? zeros([0]), wanted ?? zeros([0])).absolute < 1e-5, name);
}
