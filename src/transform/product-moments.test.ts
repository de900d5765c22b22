import assert from 'node:assert/strict';
import { test } from 'node:test';
import { referenceEngine } from '../engine/reference/reference-engine.ts';
import { graphBuilder } from '../graph/builder.ts';
import { convGeometry } from '../graph/geometry.ts';
import { convLayer, linearLayer } from '../graph/layers.ts';
import { initialWeights } from '../model/initialize.ts';
import { createRandom } from '../tensor/random.ts';
import { momentSums, momentsGraph } from './product-moments.ts';

const [HEIGHT, WIDTH, CHANNELS] = [4, 5, 3];

const graph = (() => {
  const b = graphBuilder('net');
  const x = b.input('x', [1, HEIGHT, WIDTH, CHANNELS]);
  const dense = convLayer(b, 'dense', x, 6, convGeometry({ kernel: 1 }), { bias: true });
  const lone = convLayer(b, 'lone', dense, 6, convGeometry({ kernel: 3, groups: 6 }), { bias: true });
  const pooled = b.node('flatten', 'flat', {}, [b.node('globalAveragePool', 'pool', {}, [lone])]);
  b.output('y', linearLayer(b, 'last', pooled, 2));
  return b.finish();
})();

test('moments are those of all pictures together, by the names of dense weights', async () => {
  const random = createRandom(3);
  const pictures = Array.from({ length: 3 }, (_, at) =>
    Float32Array.from({ length: HEIGHT * WIDTH * CHANNELS }, () => at + random.normal()),
  );
  const session = await referenceEngine.compile(momentsGraph(graph), initialWeights(graph, 'timm', 1));
  const sums = momentSums(graph);
  for (const data of pictures)
    sums.add(await session.run({ x: { shape: [1, HEIGHT, WIDTH, CHANNELS], data } }));
  const moments = sums.moments();
  assert.deepEqual([...moments.keys()], ['dense.weight', 'last.weight']);
  assert.equal(moments.get('last.weight')?.covariance, undefined);
  assert.equal(moments.get('last.weight')?.mean.length, 6);
  const pixels = pictures.flatMap((data) =>
    Array.from({ length: HEIGHT * WIDTH }, (_, i) => data.subarray(i * CHANNELS, (i + 1) * CHANNELS)),
  );
  const average = (of: (pixel: Float32Array) => number): number =>
    pixels.reduce((sum, pixel) => sum + of(pixel) / pixels.length, 0);
  const { mean, covariance } = moments.get('dense.weight') ?? {};
  for (let i = 0; i < CHANNELS; i++) {
    const own = average((pixel) => pixel[i] ?? 0);
    assert.ok(Math.abs((mean?.[i] ?? 0) - own) < 1e-6);
    for (let j = 0; j < CHANNELS; j++) {
      const other = average((pixel) => pixel[j] ?? 0);
      const expected = average((pixel) => ((pixel[i] ?? 0) - own) * ((pixel[j] ?? 0) - other));
      assert.ok(Math.abs((covariance?.[i * CHANNELS + j] ?? 0) - expected) < 1e-5);
    }
  }
});
