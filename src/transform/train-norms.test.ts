import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ShapeError } from '../errors.ts';
import { type GraphBuilder, graphBuilder } from '../graph/builder.ts';
import { convGeometry } from '../graph/geometry.ts';
import { type CheckedGraph, type ValueId, valueAt } from '../graph/graph.ts';
import { activationLayer, batchNormLayer, convLayer } from '../graph/layers.ts';
import { mobileOneConfig } from '../model/config.ts';
import { buildMobileOne } from '../model/mobileone.ts';
import { trainNorms } from './train-norms.ts';

function graphOf(build: (b: GraphBuilder, x: ValueId) => ValueId): CheckedGraph {
  const b = graphBuilder('net');
  b.output('y', build(b, b.input('x', [2, 3, 4, 8])));
  return b.finish();
}

/** `kind name(inputs)` of every node. */
const nodesOf = (graph: CheckedGraph): readonly string[] =>
  graph.nodes.map(
    (node) => `${node.kind} ${node.name}(${node.inputs.map((id) => valueAt(graph, id).name).join(' ')})`,
  );
const updatesOf = (graph: CheckedGraph): readonly string[] =>
  graph.updates.map(
    ({ parameter, value }) => `${valueAt(graph, parameter).name} ← ${valueAt(graph, value).name}`,
  );
const two = (b: GraphBuilder, x: ValueId): ValueId =>
  b.node('sum', 'sum', {}, [batchNormLayer(b, 'one', x), batchNormLayer(b, 'two', x)]);

describe('trainNorms', () => {
  test('norms, their sum and its activation become one node; running statistics follow', () => {
    const graph = trainNorms(graphOf((b, x) => activationLayer(b, 'relu', two(b, x), 'relu')));
    assert.deepEqual(nodesOf(graph), [
      'normSum relu(x one.gamma one.beta x two.gamma two.beta)',
      'lerp one.mean.renewed(one.mean relu:1)',
      'lerp one.variance.renewed(one.variance relu:2)',
      'lerp two.mean.renewed(two.mean relu:3)',
      'lerp two.variance.renewed(two.variance relu:4)',
    ]);
    assert.deepEqual(updatesOf(graph), [
      'one.mean ← one.mean.renewed',
      'one.variance ← one.variance.renewed',
      'two.mean ← two.mean.renewed',
      'two.variance ← two.variance.renewed',
    ]);
    assert.deepEqual(graph.nodes[0]?.attrs, { eps: 1e-5, fn: 'relu' });
    assert.deepEqual(
      graph.nodes.slice(1, 3).map((node) => node.attrs),
      [
        { rate: 0.1, factor: 1 },
        { rate: 0.1, factor: 24 / 23 },
      ],
    );
  });

  test('keeps a sum or an activation apart where it is used elsewhere or has no derivative by its result', () => {
    const kinds = (build: (b: GraphBuilder, x: ValueId) => ValueId): readonly string[] =>
      trainNorms(graphOf(build)).nodes.flatMap((node) => (node.kind === 'lerp' ? [] : [node.kind]));
    assert.deepEqual(
      kinds((b, x) => activationLayer(b, 'silu', two(b, x), 'silu')),
      ['normSum', 'activation'],
    );
    const gated = (b: GraphBuilder, x: ValueId): ValueId => {
      const sum = two(b, x);
      return b.node('multiply', 'gate', {}, [activationLayer(b, 'relu', sum, 'relu'), sum]);
    };
    assert.deepEqual(kinds(gated), ['normSum', 'activation', 'multiply']);
    const residual = (b: GraphBuilder, x: ValueId): ValueId =>
      b.node('sum', 'sum', {}, [x, batchNormLayer(b, 'bn', x)]);
    assert.deepEqual(kinds(residual), ['normSum', 'sum']);
    const shared = (b: GraphBuilder, x: ValueId): ValueId => {
      const norm = batchNormLayer(b, 'bn', x);
      return b.node('sum', 'sum', {}, [norm, norm]);
    };
    assert.deepEqual(kinds(shared), ['normSum', 'sum']);
    const uneven = (b: GraphBuilder, x: ValueId): ValueId =>
      b.node('sum', 'sum', {}, [batchNormLayer(b, 'one', x, 1e-3), batchNormLayer(b, 'two', x)]);
    assert.deepEqual(kinds(uneven), ['normSum', 'normSum', 'sum']);
  });

  test('a norm alone takes its activation along, on flat tensors too', () => {
    const graph = trainNorms(
      graphOf((b, x) =>
        activationLayer(b, 'relu6', batchNormLayer(b, 'bn', b.node('flatten', 'flat', {}, [x])), 'relu6'),
      ),
      { momentum: 0.01 },
    );
    assert.deepEqual(nodesOf(graph), [
      'flatten flat(x)',
      'normSum relu6(flat bn.gamma bn.beta)',
      'lerp bn.mean.renewed(bn.mean relu6:1)',
      'lerp bn.variance.renewed(bn.variance relu6:2)',
    ]);
    assert.deepEqual(graph.nodes[3]?.attrs, { rate: 0.01, factor: 2 });
  });

  test('frozen norms stay as they are, their block in pieces', () => {
    const plain = graphOf(two);
    assert.deepEqual(trainNorms(plain, { frozen: () => true }), plain);
    const graph = trainNorms(plain, { frozen: (name) => name === 'one' });
    assert.deepEqual(nodesOf(graph), [
      'batchNorm one(x one.gamma one.beta one.mean one.variance)',
      'normSum two(x two.gamma two.beta)',
      'lerp two.mean.renewed(two.mean two:1)',
      'lerp two.variance.renewed(two.variance two:2)',
      'sum sum(one two)',
    ]);
  });

  test('statistics that two norms share go through both', () => {
    const graph = trainNorms(
      graphOf((b, x) => {
        const vectors = (['gamma', 'beta', 'mean', 'variance'] as const).map((role) =>
          b.parameter(role, [8], role),
        );
        const first = b.node('batchNorm', 'first', { eps: 1e-5 }, [x, ...vectors]);
        return b.node('batchNorm', 'second', { eps: 1e-5 }, [first, ...vectors]);
      }),
    );
    assert.deepEqual(updatesOf(graph), ['mean ← second.mean.renewed', 'variance ← second.variance.renewed']);
    assert.ok(nodesOf(graph).includes('lerp second.mean.renewed(first.mean.renewed second:1)'));
  });

  test('one value per channel has no unbiased variance', () => {
    const b = graphBuilder('net');
    const pooled = b.node('globalAveragePool', 'pool', {}, [b.input('x', [1, 4, 4, 8])]);
    b.output('y', batchNormLayer(b, 'bn', convLayer(b, 'conv', pooled, 4, convGeometry({ kernel: 1 }))));
    const graph = b.finish();
    assert.throws(
      () => trainNorms(graph),
      (error: unknown) =>
        error instanceof ShapeError && /"bn": training needs more than one value/.test(error.message),
    );
    assert.deepEqual(trainNorms(graph, { frozen: () => true }), graph);
  });

  test('a whole net keeps its parameters, and every norm its updates', () => {
    const net = buildMobileOne(mobileOneConfig('s4', { classes: 10 }), {
      form: 'train',
      batch: 2,
      height: 64,
      width: 64,
    });
    const graph = trainNorms(net);
    const names = (g: CheckedGraph): readonly string[] =>
      g.parameters.map(({ value }) => valueAt(g, value).name);
    assert.deepEqual(names(graph), names(net));
    const norms = net.nodes.filter((node) => node.kind === 'batchNorm').length;
    assert.equal(graph.updates.length, 2 * norms);
    assert.equal(graph.nodes.filter((node) => node.kind === 'normSum').length, 43);
    assert.ok(!graph.nodes.some((node) => node.kind === 'batchNorm' || node.kind === 'sum'));
  });
});
