import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GraphError, ShapeError } from '../errors.ts';
import { type GraphBuilder, graphBuilder } from '../graph/builder.ts';
import { convGeometry } from '../graph/geometry.ts';
import type { CheckedGraph, ValueId } from '../graph/graph.ts';
import { activationLayer, batchNormLayer, convLayer, linearLayer } from '../graph/layers.ts';
import { printGraph } from '../graph/print.ts';
import { differentiate } from './differentiate.ts';

/** A small net with two branches and its loss. */
function net(): {
  readonly graph: CheckedGraph;
  readonly loss: ValueId;
  readonly byName: (n: string) => ValueId;
} {
  const b = graphBuilder('net');
  const x = b.input('image', [2, 4, 4, 3]);
  const stem = convLayer(b, 'stem', x, 4, convGeometry({ kernel: 3 }));
  const skip = batchNormLayer(b, 'skip.bn', stem);
  const point = batchNormLayer(
    b,
    'point.bn',
    convLayer(b, 'point.conv', stem, 4, convGeometry({ kernel: 1 })),
  );
  const y = activationLayer(b, 'relu', b.node('sum', 'sum', {}, [skip, point]), 'relu');
  const flat = b.node('flatten', 'flat', {}, [b.node('globalAveragePool', 'mean', {}, [y])]);
  return withLoss(b, linearLayer(b, 'head', flat, 5));
}

function withLoss(b: GraphBuilder, logits: ValueId) {
  const loss = b.node('crossEntropy', 'loss', { smoothing: 0.1 }, [
    logits,
    b.input('targets', b.shape(logits)),
  ]);
  b.output('loss', loss);
  const graph = b.finish();
  const byName = (name: string): ValueId => graph.values.findIndex((value) => value.name === name) as ValueId;
  return { graph, loss, byName };
}

const added = (graph: CheckedGraph, before: CheckedGraph): readonly string[] =>
  graph.nodes.slice(before.nodes.length).map((node) => `${node.kind} ${node.name}`);

describe('differentiate', () => {
  test('appends the backward pass of everything learned, and nothing for the picture', () => {
    const { graph, loss, byName } = net();
    const { graph: whole, gradients } = differentiate(graph, loss);
    assert.deepEqual(whole.values.slice(0, graph.values.length), graph.values);
    assert.deepEqual(whole.nodes.slice(0, graph.nodes.length), graph.nodes);
    const named = [...gradients].map(([of, gradient]) => [
      whole.values[of]?.name,
      whole.values[gradient]?.name,
    ]);
    assert.deepEqual(Object.fromEntries(named), {
      'stem.weight': 'stem.grad.weight',
      'skip.bn.gamma': 'skip.bn.grad:2',
      'skip.bn.beta': 'skip.bn.grad',
      'point.conv.weight': 'point.conv.grad.weight',
      'point.bn.gamma': 'point.bn.grad:2',
      'point.bn.beta': 'point.bn.grad',
      'head.weight': 'head.grad.weight',
      'head.bias': 'head.grad.bias',
    });
    assert.deepEqual(added(whole, graph), [
      'constant loss.gradient',
      'crossEntropyGrad loss.grad',
      'channelSum head.grad.bias',
      'matmul head.grad.weight',
      'matmul head.grad.input',
      'reshape flat.grad',
      'globalAveragePoolGrad mean.grad',
      'activationGrad relu.grad',
      'normSumGrad point.bn.grad',
      'conv2dWeightGrad point.conv.grad.weight',
      'conv2dInputGrad point.conv.grad.input',
      'normSumGrad skip.bn.grad',
      'sum stem.gradient',
      'conv2dWeightGrad stem.grad.weight',
    ]);
    assert.match(printGraph(whole), /stem\.gradient/);
    assert.ok(gradients.get(byName('stem.weight')) !== undefined);
  });

  test('goes no further back than what is wanted', () => {
    const { graph, loss, byName } = net();
    const { graph: whole, gradients } = differentiate(graph, loss, [byName('head.weight')]);
    assert.deepEqual(added(whole, graph), [
      'constant loss.gradient',
      'crossEntropyGrad loss.grad',
      'matmul head.grad.weight',
    ]);
    assert.equal(gradients.size, 1);
    assert.deepEqual(added(differentiate(graph, loss, []).graph, graph), []);
  });

  test('says what it cannot do', () => {
    const { graph, loss, byName } = net();
    assert.throws(() => differentiate(graph, byName('head')), ShapeError);
    assert.throws(
      () => differentiate(graph, loss, [byName('targets')]),
      /crossEntropy "loss": has no gradient by its targets/,
    );
    assert.throws(
      () => differentiate(graph, loss, [byName('skip.bn.mean')]),
      /batchNorm "skip.bn": has no gradient by its statistics/,
    );
    const b = graphBuilder('stray', graph);
    const stray = b.parameter('stray', [1], 'weight');
    const second = b.node('channelSum', 'total', {}, [
      b.node('reshape', 'row', { shape: [5, 1] }, [byName('head.bias')]),
    ]);
    const wider = b.finish();
    assert.throws(
      () => differentiate(wider, loss, [stray]),
      (error: unknown) => error instanceof GraphError && /does not depend on "stray"/.test(error.message),
    );
    assert.ok(!differentiate(wider, loss).gradients.has(stray));
    assert.throws(
      () => differentiate(wider, second),
      /channelSum "total": cannot be differentiated: it belongs to a backward pass/,
    );
  });
});
