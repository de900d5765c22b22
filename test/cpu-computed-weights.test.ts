/** Ops of nets whose weights only a run knows: graph inputs, or parameters that the graph renews. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { Engine, NamedTensors } from '../src/engine/engine.ts';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import { graphBuilder } from '../src/graph/builder.ts';
import { checkGraph } from '../src/graph/check.ts';
import { convGeometry } from '../src/graph/geometry.ts';
import { type CheckedGraph, valueAt } from '../src/graph/graph.ts';
import { batchNormLayer, convLayer } from '../src/graph/layers.ts';
import { initialWeights, randomStatistics } from '../src/model/initialize.ts';
import { maxDifference, type Tensor, type Weights, zeros } from '../src/tensor/tensor.ts';
import { caseError, caseGraph, caseOutput, caseValues, type OpCase } from './cases/op-case.ts';
import { opCases } from './cases/ops.ts';
import { engine, pool, skipTarget, targets } from './support/cpu.ts';

after(() => pool.dispose());

interface Computed {
  readonly graph: CheckedGraph;
  readonly weights: Weights;
  readonly inputs: NamedTensors;
}

/** Every parameter becomes a graph input. */
function asInputs(graph: CheckedGraph, weights: Weights, inputs: NamedTensors): Computed {
  const values = graph.parameters.map(({ value }) => value);
  return {
    graph: checkGraph({ ...graph, inputs: [...graph.inputs, ...values], parameters: [] }),
    weights: new Map(),
    inputs: { ...inputs, ...Object.fromEntries(weights) },
  };
}

/** Every parameter takes, after each run, what an input holds. */
function asUpdated(graph: CheckedGraph, weights: Weights, inputs: NamedTensors): Computed {
  const next = graph.parameters.map(({ value }) => ({
    ...valueAt(graph, value),
    name: `${valueAt(graph, value).name}.next`,
  }));
  const ids = graph.parameters.map((_, i) => (graph.values.length + i) as (typeof graph.inputs)[number]);
  const updates = graph.parameters.map(({ value }, i) => ({ parameter: value, value: ids[i] ?? value }));
  const updated = {
    ...graph,
    values: [...graph.values, ...next],
    inputs: [...graph.inputs, ...ids],
    updates,
  };
  const given = [...weights].map(([name, tensor]) => [`${name}.next`, tensor]);
  const none = new Map([...weights].map(([name, { shape }]) => [name, zeros(shape)]));
  return { graph: checkGraph(updated), weights: none, inputs: { ...inputs, ...Object.fromEntries(given) } };
}

const cases = opCases.filter((c) => caseGraph(c).parameters.length > 0);
const expectations = new Map<OpCase, Promise<Tensor>>();

async function runTwice(on: Engine, computed: Computed, target?: string, threads = 1): Promise<NamedTensors> {
  const session = await on.compile(computed.graph, computed.weights, target ? { target, threads } : {});
  await session.run(computed.inputs);
  const outputs = await session.run(computed.inputs);
  session.dispose();
  return outputs;
}

function expected(c: OpCase): Promise<Tensor> {
  const graph = caseGraph(c);
  const { inputs, weights } = caseValues(c, graph);
  const found =
    expectations.get(c) ??
    runTwice(referenceEngine, { graph, weights, inputs }).then((all) => all[caseOutput] ?? zeros([0]));
  expectations.set(c, found);
  return found;
}

/** Branches with norms, a skip and a squeeze: epilogues and chains around computed weights. */
function block(): Computed {
  const b = graphBuilder('block');
  const x = b.input('x', [2, 7, 6, 19]);
  const geometry = convGeometry({ kernel: 3, groups: 19 });
  const depth = batchNormLayer(b, 'bn', convLayer(b, 'depth', x, 19, geometry, { bias: true }));
  const skip = b.node('sum', 'skip', {}, [
    convLayer(b, 'point', depth, 19, convGeometry({ kernel: 1 }), { bias: true }),
    x,
  ]);
  const y = b.node('activation', 'act', { fn: 'silu' }, [skip]);
  const stem = b.node('sum', 'add', {}, [
    convLayer(b, 'dense', y, 19, convGeometry({ kernel: 3 })),
    batchNormLayer(b, 'bn2', y),
  ]);
  b.output('y', b.node('activation', 'last', { fn: 'relu' }, [stem]));
  const graph = b.finish();
  const random = caseValues({ name: '', kind: 'sum', build: () => x, reduction: 1, kinks: [] }, graph);
  const weights = randomStatistics(graph, initialWeights(graph, 'timm', 3), 4);
  return { graph, weights, inputs: random.inputs };
}

for (const target of targets)
  describe(`computed weights on ${target}`, { skip: skipTarget(target) }, () => {
    test('every op that has weights', async () => {
      for (const [i, c] of cases.entries()) {
        const graph = caseGraph(c);
        const { inputs, weights } = caseValues(c, graph);
        // What renews a parameter is another matter: every fourth case is enough.
        for (const make of i % 4 === 0 ? [asInputs, asUpdated] : [asInputs]) {
          const found = await runTwice(engine, make(graph, weights, inputs), target, 1 + (i % 2));
          const error = caseError(c, 'f32', found[caseOutput] ?? zeros([0]), await expected(c));
          assert.ok(error <= 1, `${c.name} ${make.name}: ${error}`);
        }
      }
      assert.ok(cases.length > 100);
    });

    test('in a block, with what is fused', async () => {
      const { graph, weights, inputs } = block();
      const wanted = await runTwice(referenceEngine, { graph, weights, inputs });
      for (const make of [asInputs, asUpdated])
        for (const threads of [1, 2]) {
          const found = await runTwice(engine, make(graph, weights, inputs), target, threads);
          const { relative } = maxDifference(found.y ?? zeros([0]), wanted.y ?? zeros([0]));
          assert.ok(relative < 1e-5, `${make.name}, threads ${threads}: ${relative}`);
        }
    });
  });
