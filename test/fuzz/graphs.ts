import { referenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { type ActivationName, activations } from '../../src/graph/activations.ts';
import { type GraphBuilder, graphBuilder } from '../../src/graph/builder.ts';
import { checkGraph } from '../../src/graph/check.ts';
import { convGeometry } from '../../src/graph/geometry.ts';
import { type CheckedGraph, type Graph, type ValueId, valueAt } from '../../src/graph/graph.ts';
import type { Random } from '../../src/tensor/random.ts';
import { elementCount, type Tensor } from '../../src/tensor/tensor.ts';
import { randomNet } from '../support/random-graph.ts';
import { assertClose, pick, refusable, type Scenario, someOptions } from './scenario.ts';

/** Whole graphs that are right: the answer must be too. */
export const soundGraphs: Scenario = {
  run: ({ random, engine }) =>
    refusable(async () => {
      const { graph, weights, inputs } = randomNet(random.integer(2 ** 31), 1 + random.integer(14));
      const expected = await (await referenceEngine.compile(graph, weights)).run(inputs);
      const session = await engine.compile(graph, weights, someOptions(random));
      const found = await session.run(inputs);
      session.dispose();
      for (const name of Object.keys(expected)) assertClose(found[name], expected[name], name);
    }),
};

/** Small, wrong, or beyond any machine; nothing in between, which would only fill the memory. */
const numbers = [
  1,
  1,
  2,
  3,
  4,
  7,
  16,
  17,
  33,
  0,
  -1,
  1.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  2 ** 40,
  2 ** 53,
];
const few = (random: Random, count: number): number[] =>
  Array.from({ length: count }, () => pick(random, numbers));

/** One node with attributes that nobody checked. */
function wildNode(b: GraphBuilder, random: Random, x: ValueId, name: string): ValueId {
  const n = (): number => pick(random, numbers);
  const parameter = (suffix: string, shape: readonly number[]): ValueId =>
    b.parameter(`${name}.${suffix}`, shape, pick(random, ['weight', 'bias', 'variance'] as const));
  const geometry = () =>
    convGeometry({
      kernel: n(),
      stride: n(),
      dilation: n(),
      padding: n(),
      groups: pick(random, [1, 1, n()]),
    });
  const kinds: readonly (() => ValueId)[] = [
    () => b.node('conv2d', name, { geometry: geometry() }, [x, parameter('weight', few(random, 4))]),
    () => b.node('linear', name, {}, [x, parameter('weight', few(random, 2))]),
    () =>
      b.node('batchNorm', name, { eps: n() }, [
        x,
        ...[1, 2, 3, 4].map((i) => parameter(`${i}`, few(random, 1))),
      ]),
    () => b.node('activation', name, { fn: pick(random, Object.keys(activations) as ActivationName[]) }, [x]),
    () => b.node('resizeBilinear', name, { height: n(), width: n(), alignCorners: true }, [x]),
    () => b.node('pool2d', name, { mode: 'max', window: geometry(), countPadding: true }, [x]),
    () =>
      b.node(
        'sum',
        name,
        {},
        Array.from({ length: random.integer(4) }, () => x),
      ),
    () =>
      b.node(
        'concat',
        name,
        {},
        Array.from({ length: random.integer(4) }, () => x),
      ),
    () =>
      b.node(
        'multiply',
        name,
        {},
        Array.from({ length: random.integer(3) }, () => x),
      ),
    () => b.node(pick(random, ['flatten', 'softmax', 'globalAveragePool'] as const), name, {}, [x]),
  ];
  return pick(random, kinds)();
}

/** Shapes and attributes at random through the builder. */
export const wildGraphs: Scenario = {
  run: ({ random, engine }) =>
    refusable(async () => {
      const b = graphBuilder('wild');
      let x = b.input('x', few(random, pick(random, [4, 4, 4, 2, 1, 0, 5])));
      for (let i = 0; i < 1 + random.integer(3); i++) x = wildNode(b, random, x, `n${i}`);
      b.output(pick(random, ['y', '', '__proto__', 'x']), x);
      await runZeros(b.finish(), { random, engine });
    }),
};

const smallElements = 1e6;

async function runZeros(
  graph: CheckedGraph,
  { random, engine }: Parameters<Scenario['run']>[0],
): Promise<void> {
  const zeros = (id: ValueId): Tensor => {
    const { shape } = valueAt(graph, id);
    const count = elementCount(shape);
    return { shape, data: new Float32Array(count <= smallElements ? count : 0) };
  };
  const weights = new Map(
    graph.parameters.map(({ value }) => [valueAt(graph, value).name, zeros(value)] as const),
  );
  const session = await engine.compile(graph, weights, someOptions(random));
  try {
    await session.run(Object.fromEntries(graph.inputs.map((id) => [valueAt(graph, id).name, zeros(id)])));
  } finally {
    session.dispose();
  }
}

/** A right graph in which one thing was changed behind the builder's back. */
export const brokenGraphs: Scenario = {
  run: ({ random, engine }) =>
    refusable(async () => {
      const net = randomNet(random.integer(2 ** 31), 1 + random.integer(8));
      const copy = structuredClone<Graph>(net.graph);
      const id = (): ValueId => (random.integer(copy.values.length + 3) - 1) as ValueId;
      const values = copy.values.map((value) => ({ ...value }));
      const nodes = copy.nodes.map((node) => ({
        ...node,
        inputs: [...node.inputs],
        outputs: [...node.outputs],
      }));
      const changes: readonly (() => void)[] = [
        () => {
          const at = random.integer(values.length);
          values[at] = { name: pick(random, ['', 'x', '__proto__', 'y']), shape: few(random, 4) };
        },
        () => pick(random, nodes)?.inputs.push(id()),
        () => pick(random, nodes)?.inputs.splice(0, 1, id()),
        () => pick(random, nodes)?.outputs.splice(0, 1, id()),
        () => pick(random, nodes)?.outputs.push(id()),
        () => void nodes.reverse(),
        () => void values.pop(),
      ];
      if (nodes.length > 0) for (let i = 0; i < 1 + random.integer(2); i++) pick(random, changes)();
      await runZeros(checkGraph({ ...copy, values, nodes }), { random, engine });
    }),
};
