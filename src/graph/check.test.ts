import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GraphError, ShapeError } from '../errors.ts';
import type { Shape } from '../tensor/tensor.ts';
import { graphBuilder } from './builder.ts';
import { checkGraph } from './check.ts';
import { convGeometry } from './geometry.ts';
import type { CheckedGraph, Graph, Node, OpKind, ValueId } from './graph.ts';
import { makeNode } from './node-rules.ts';

const id = (index: number): ValueId => index as ValueId;

/** image → conv → relu → pool, each value named after its node. */
function wholeGraph(): CheckedGraph {
  const b = graphBuilder('whole');
  const x = b.input('image', [1, 8, 8, 3]);
  const weight = b.parameter('weight', [4, 3, 3, 3], 'weight');
  const bias = b.parameter('bias', [4], 'bias');
  const conv = b.node('conv2d', 'conv', { geometry: convGeometry({ kernel: 3, stride: 2 }) }, [
    x,
    weight,
    bias,
  ]);
  const relu = b.node('activation', 'relu', { fn: 'relu' }, [conv]);
  b.output('y', b.node('globalAveragePool', 'pool', {}, [relu]));
  return b.finish();
}

function faultsOf(graph: Graph): readonly string[] {
  try {
    checkGraph(graph);
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    assert.match(error.message, /^graph "whole" has \d+ faults?:\n {2}/);
    const { faults } = error.details;
    assert.ok(Array.isArray(faults));
    for (const fault of faults) assert.ok(error.message.includes(fault));
    return faults;
  }
  return [];
}

function withNode(graph: Graph, name: string, change: (node: Node) => Node): Graph {
  return { ...graph, nodes: graph.nodes.map((node) => (node.name === name ? change(node) : node)) };
}

function withShape(graph: Graph, name: string, shape: Shape): Graph {
  return {
    ...graph,
    values: graph.values.map((value) => (value.name === name ? { name, shape } : value)),
  };
}

const whole = wholeGraph();
const last = whole.values.length - 1;

const broken: readonly (readonly [what: string, graph: Graph, faults: readonly string[]])[] = [
  ['no outputs', { ...whole, outputs: [] }, ['outputs: there are none']],
  [
    'an output that nothing defines',
    { ...whole, outputs: [...whole.outputs, { name: 'z', value: id(99) }] },
    ['output "z": value "#99 (undefined)" is never defined'],
  ],
  [
    'two outputs of one name',
    { ...whole, outputs: [...whole.outputs, { name: 'y', value: id(0) }] },
    ['output name "y" is used more than once'],
  ],
  [
    'an input that does not exist',
    { ...whole, inputs: [...whole.inputs, id(99)] },
    ['inputs: value #99 does not exist'],
  ],
  [
    'a value defined twice',
    { ...whole, inputs: [...whole.inputs, id(last)] },
    ['globalAveragePool "pool": value "pool" is defined twice'],
  ],
  [
    'a value used before it is defined',
    { ...whole, nodes: [...whole.nodes].reverse() },
    [
      'globalAveragePool "pool": input "relu" is not defined before it',
      'activation "relu": input "conv" is not defined before it',
    ],
  ],
  [
    'two values of one name',
    { ...whole, values: whole.values.map((value, i) => (i === last ? { ...value, name: 'relu' } : value)) },
    ['value name "relu" is used more than once'],
  ],
  [
    'two nodes of one name',
    withNode(whole, 'relu', (node) => ({ ...node, name: 'conv' })),
    ['node name "conv" is used more than once'],
  ],
  [
    'too few inputs',
    withNode(whole, 'conv', (node) => ({ ...node, inputs: node.inputs.slice(0, 1) })),
    ['conv2d "conv": needs inputs (x, weight, bias), found 1'],
  ],
  [
    'too many inputs',
    withNode(whole, 'relu', (node) => ({ ...node, inputs: [id(0), id(0)] })),
    ['activation "relu": needs inputs (x), found 2'],
  ],
  [
    'no outputs of a node',
    withNode(whole, 'pool', (node) => ({ ...node, outputs: [] })),
    [
      'globalAveragePool "pool": gives 1 outputs, but 0 are declared',
      'output "y": value "pool" is never defined',
    ],
  ],
  [
    'a shape that is declared otherwise',
    withShape(whole, 'pool', [1, 1, 1, 5]),
    ['globalAveragePool "pool": gives [1,1,1,4], but "pool" is declared [1,1,1,5]'],
  ],
  [
    'a weight that does not fit',
    withShape(whole, 'weight', [4, 2, 3, 3]),
    ['conv2d "conv": weight [4,2,3,3] with groups 1 needs 2 input channels, but x is [1,8,8,3]'],
  ],
  ['a bias that does not fit', withShape(whole, 'bias', [5]), ['conv2d "conv": bias must be [4], found [5]']],
  [
    'dimensions that are not positive integers',
    withShape(withShape(whole, 'bias', [0]), 'pool', [1, -1, 1.5, Number.NaN]),
    [
      'value "bias": [0] must hold positive integers',
      'value "pool": [1,-1,1.5,NaN] must hold positive integers',
      'conv2d "conv": bias must be [4], found [0]',
      'globalAveragePool "pool": gives [1,1,1,4], but "pool" is declared [1,-1,1.5,NaN]',
    ],
  ],
];

describe('checkGraph', () => {
  test('a whole graph comes back as it is', () => {
    assert.equal(checkGraph(whole), whole);
  });

  for (const [what, graph, faults] of broken)
    test(what, () => {
      assert.deepEqual(faultsOf(graph), faults);
    });

  test('every fault at once', () => {
    const graph = withNode(withShape(whole, 'bias', [5]), 'relu', (node) => ({ ...node, inputs: [] }));
    const outputs = [...graph.outputs, { name: 'y', value: id(99) }];
    assert.deepEqual(faultsOf({ ...graph, outputs }), [
      'output name "y" is used more than once',
      'conv2d "conv": bias must be [4], found [5]',
      'activation "relu": needs inputs (x), found 0',
      'output "y": value "#99 (undefined)" is never defined',
    ]);
  });

  test('an unknown op, also one that every object answers to', () => {
    for (const kind of ['nonsense', 'toString', 'constructor', '__proto__']) {
      const graph = withNode(whole, 'relu', ({ name, inputs, outputs }) =>
        makeNode(kind as OpKind, { name, inputs, outputs, attrs: {} }),
      );
      assert.deepEqual(faultsOf(graph), [`${kind} "relu": unknown op`]);
    }
  });

  test('a window of stride zero or without size', () => {
    for (const change of [{ stride: [0, 1] }, { kernel: [Number.NaN, 3] }, { dilation: [1, -9] }] as const) {
      const geometry = { ...convGeometry({ kernel: 3 }), ...change };
      const graph = withNode(whole, 'conv', ({ name, inputs, outputs }) =>
        makeNode('conv2d', { name, inputs, outputs, attrs: { geometry } }),
      );
      assert.equal(faultsOf(graph).length, 1, JSON.stringify(change));
    }
  });
});

describe('graphBuilder', () => {
  test('names the node whose inputs do not fit', () => {
    const b = graphBuilder('builder');
    const x = b.input('x', [1, 4, 4, 3]);
    assert.throws(
      () => b.node('linear', 'head', {}, [x, b.parameter('w', [2, 3], 'weight')]),
      (error: unknown) =>
        error instanceof ShapeError && error.message === 'linear "head": x must be [N,I], found [1,4,4,3].',
    );
    assert.throws(
      () =>
        b.node('conv2d', 'conv', { geometry: convGeometry({ kernel: 7, padding: 0 }) }, [
          x,
          b.parameter('k', [2, 3, 7, 7], 'weight'),
        ]),
      /conv2d "conv": a 7×7 window does not fit a 4×4 input\./,
    );
  });
});

test('a gate: its input and the outputs before it', () => {
  const graph = wholeGraph();
  const [image = id(0)] = graph.inputs;
  assert.deepEqual(faultsOf({ ...graph, gate: { at: graph.nodes.length - 1, open: image } }), [
    `output "y": it is computed behind the gate`,
    'gate: "image" must be an input [1], found [1,8,8,3]',
  ]);
});
