import assert from 'node:assert/strict';
import { test } from 'node:test';
import { graphBuilder } from './builder.ts';
import { convGeometry } from './geometry.ts';
import { activationLayer, batchNormLayer, convLayer } from './layers.ts';
import { printGraph } from './print.ts';

test('train form of a depthwise block', () => {
  const b = graphBuilder('block train form');
  const geometry = convGeometry({ kernel: 3, dilation: 2, groups: 8 });
  const x = b.input('image', [1, 14, 14, 8]);
  const skip = batchNormLayer(b, 'block.skip.bn', x);
  const conv = convLayer(b, 'block.conv.0.conv', x, 8, geometry, { bias: false, parameters: 'block.conv.0' });
  const sum = b.node('sum', 'block.sum', {}, [skip, batchNormLayer(b, 'block.conv.0.bn', conv)]);
  b.output('y', activationLayer(b, 'block.relu', sum, 'relu'));
  assert.equal(
    printGraph(b.finish()),
    `graph block train form
  input image [1,14,14,8]
  block.skip.bn [1,14,14,8] = batchNorm <eps 0.00001> (image, {block.skip.bn.gamma [8]}, {block.skip.bn.beta [8]}, {block.skip.bn.mean [8]}, {block.skip.bn.variance [8]})
  block.conv.0.conv [1,14,14,8] = conv2d <k3x3 s1x1 p2,2,2,2 d2x2 g8> (image, {block.conv.0.weight [8,1,3,3]})
  block.conv.0.bn [1,14,14,8] = batchNorm <eps 0.00001> (block.conv.0.conv, {block.conv.0.bn.gamma [8]}, {block.conv.0.bn.beta [8]}, {block.conv.0.bn.mean [8]}, {block.conv.0.bn.variance [8]})
  block.sum [1,14,14,8] = sum (block.skip.bn, block.conv.0.bn)
  block.relu [1,14,14,8] = activation <relu> (block.sum)
  output y = block.relu
`,
  );
});

test('deploy form of the same, and a head', () => {
  const b = graphBuilder('block deploy form');
  const geometry = convGeometry({ kernel: 3, dilation: 2, groups: 8 });
  const x = b.input('image', [1, 14, 14, 8]);
  const fused = convLayer(b, 'block.fused', x, 8, geometry, { bias: true, parameters: 'block' });
  const features = activationLayer(b, 'block.relu', fused, 'relu');
  const pooled = b.node('flatten', 'flat', {}, [b.node('globalAveragePool', 'pool', {}, [features])]);
  b.output('features', features);
  b.output('pooled', b.node('softmax', 'probabilities', {}, [pooled]));
  assert.equal(
    printGraph(b.finish()),
    `graph block deploy form
  input image [1,14,14,8]
  block.fused [1,14,14,8] = conv2d <k3x3 s1x1 p2,2,2,2 d2x2 g8> (image, {block.weight [8,1,3,3]}, {block.bias [8]})
  block.relu [1,14,14,8] = activation <relu> (block.fused)
  pool [1,1,1,8] = globalAveragePool (block.relu)
  flat [1,8] = flatten (pool)
  probabilities [1,8] = softmax (flat)
  output features = block.relu
  output pooled = probabilities
`,
  );
});
