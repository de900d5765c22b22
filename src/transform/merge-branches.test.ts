import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type BlockSizes, trainingBlock } from '../../test/support/training-block.ts';
import { graphBuilder } from '../graph/builder.ts';
import { convGeometry } from '../graph/geometry.ts';
import type { CheckedGraph } from '../graph/graph.ts';
import { printGraph } from '../graph/print.ts';
import { mergeBranches } from './merge-branches.ts';
import type { MergeableBlock } from './merge-cost.ts';

interface Sizes extends BlockSizes {
  readonly input?: readonly [n: number, height: number, width: number];
}

function blockGraph(sizes: Sizes): CheckedGraph {
  const b = graphBuilder('block');
  const x = b.input('x', [...(sizes.input ?? [2, 5, 6]), sizes.from]);
  b.output('y', trainingBlock(b, 'block', x, sizes));
  return b.finish();
}

const depthwise: Sizes = {
  from: 4,
  to: 4,
  geometry: { kernel: 3, groups: 4 },
  branches: 2,
  scale: true,
  skip: true,
};

test('a block becomes moments, merged weights and one convolution; its statistics keep their places', () => {
  assert.equal(
    printGraph(mergeBranches(blockGraph(depthwise), { choose: 'all' })),
    `graph block
  input x [2,5,6,4]
  block.moments [4,9], block.moments:1 [4,9,9] = patchMoments <k3x3 s1x1 p1,1,1,1 g4> (x)
  block.merge [4,1,3,3], block.merge:1 [4], block.merge:2 [4], block.merge:3 [4], block.merge:4 [4], block.merge:5 [4], block.merge:6 [4], block.merge:7 [4], block.merge:8 [4], block.merge:9 [4], block.merge:10 [4,9], block.merge:11 [4,9], block.merge:12 [4,9] = mergeBranches <k3x3 s1x1 p1,1,1,1 g4 eps 0.00001 skip> (block.moments, block.moments:1, {block.0.weight [4,1,1,1]}, {block.bn1.gamma [4]}, {block.bn1.beta [4]}, {block.1.weight [4,1,3,3]}, {block.bn2.gamma [4]}, {block.bn2.beta [4]}, {block.2.weight [4,1,3,3]}, {block.bn3.gamma [4]}, {block.bn3.beta [4]}, {block.bn0.gamma [4]}, {block.bn0.beta [4]})
  block.merged [2,5,6,4] = conv2d <k3x3 s1x1 p1,1,1,1 g4> (x, block.merge, block.merge:1)
  block [2,5,6,4] = activation <relu> (block.merged)
  block.running0 [4] = lerp <rate 0.1 factor 1> ({block.bn0.mean [4]}, block.merge:8)
  block.running1 [4] = lerp <rate 0.1 factor 1.25> ({block.bn0.variance [4]}, block.merge:9)
  block.running2 [4] = lerp <rate 0.1 factor 1> ({block.bn1.mean [4]}, block.merge:2)
  block.running3 [4] = lerp <rate 0.1 factor 1.25> ({block.bn1.variance [4]}, block.merge:3)
  block.running4 [4] = lerp <rate 0.1 factor 1> ({block.bn2.mean [4]}, block.merge:4)
  block.running5 [4] = lerp <rate 0.1 factor 1.25> ({block.bn2.variance [4]}, block.merge:5)
  block.running6 [4] = lerp <rate 0.1 factor 1> ({block.bn3.mean [4]}, block.merge:6)
  block.running7 [4] = lerp <rate 0.1 factor 1.25> ({block.bn3.variance [4]}, block.merge:7)
  output y = block
`,
  );
});

const isMerged = (graph: CheckedGraph): boolean => graph.nodes.some(({ kind }) => kind === 'mergeBranches');

describe('what is merged', () => {
  const all = (graph: CheckedGraph): boolean => isMerged(mergeBranches(graph, { choose: 'all' }));

  test('only where asked', () => {
    const graph = blockGraph(depthwise);
    assert.equal(mergeBranches(graph, { choose: 'none' }), graph);
    const seen: MergeableBlock[] = [];
    mergeBranches(graph, { choose: (each) => seen.push(each) > 1 });
    const geometry = convGeometry(depthwise.geometry);
    const expected = { name: 'block', geometry, input: [2, 5, 6, 4], outChannels: 4 };
    assert.deepEqual(seen, [{ ...expected, full: 2, point: 1, skip: true }]);
  });

  test('strides and dilations, without a skip', () => {
    const strided = { kernel: 3, groups: 4, stride: 2, dilation: 2 } as const;
    assert.ok(all(blockGraph({ ...depthwise, skip: false, geometry: strided })));
  });

  test('not kernels without a centre, nor convolutions that others use or that have a bias', () => {
    assert.ok(
      !all(blockGraph({ ...depthwise, scale: false, skip: false, geometry: { kernel: 2, groups: 4 } })),
    );
    const uncentred = { kernel: 3, groups: 4, padding: 0 } as const;
    assert.ok(!all(blockGraph({ ...depthwise, scale: false, skip: false, geometry: uncentred })));
    const shared = graphBuilder('shared');
    const x = shared.input('x', [1, 4, 4, 3]);
    shared.output(
      'y',
      trainingBlock(shared, 'block', x, { from: 3, to: 3, geometry: { kernel: 1 }, branches: 2 }),
    );
    const finished = shared.finish();
    assert.ok(all(finished));
    const conv = finished.nodes.find(({ kind }) => kind === 'conv2d')?.outputs[0] ?? assert.fail();
    shared.output('z', conv);
    assert.ok(!all(shared.finish()));
  });

  test('not branches of different values', () => {
    const b = graphBuilder('roots');
    const [x, other] = [b.input('x', [1, 4, 4, 3]), b.input('other', [1, 4, 4, 3])];
    const weight = b.parameter('weight', [3, 3, 1, 1], 'weight');
    const conv = b.node('conv2d', 'conv', { geometry: convGeometry({ kernel: 1 }) }, [x, weight]);
    const [gamma, beta] = [b.parameter('gamma', [3], 'gamma'), b.parameter('beta', [3], 'beta')];
    const inputs = [conv, gamma, beta, other, gamma, beta];
    b.output('y', b.node('normSum', 'norm', { eps: 1e-5, fn: null }, inputs));
    assert.ok(!all(b.finish()));
  });

  test('by cost: many positions and branches, not a single branch or more channels than positions', () => {
    const pays = (sizes: Sizes): boolean => isMerged(mergeBranches(blockGraph(sizes)));
    const pointwise = (from: number, to: number, branches: number, size: number): Sizes => ({
      from,
      to,
      geometry: { kernel: 1 },
      branches,
      skip: from === to,
      input: [32, size, size],
    });
    assert.ok(pays(pointwise(128, 128, 4, 16)));
    assert.ok(!pays(pointwise(48, 128, 1, 16)));
    assert.ok(!pays(pointwise(1024, 1024, 4, 2)));
    assert.ok(
      pays({ ...depthwise, from: 48, to: 48, geometry: { kernel: 3, groups: 48 }, input: [32, 32, 32] }),
    );
  });
});
