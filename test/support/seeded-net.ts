import { type CheckedGraph, type ValueId, valueAt } from '../../src/graph/graph.ts';
import { createRandom } from '../../src/tensor/random.ts';
import { elementCount, type Tensor, type Weights } from '../../src/tensor/tensor.ts';

/** He-normal weights and small biases: activations keep their scale through the net, so that errors show. */
export function seededWeights(graph: CheckedGraph, seed = 1): Weights {
  const random = createRandom(seed);
  const consumers = new Map<ValueId, string>();
  for (const node of graph.nodes) for (const id of node.inputs) consumers.set(id, node.kind);
  const weights = new Map<string, Tensor>();
  for (const { value, role } of graph.parameters) {
    const { name, shape } = valueAt(graph, value);
    const fanIn = elementCount(shape.slice(1));
    const gain = consumers.get(value) === 'linear' ? 1 : 2;
    const deviation = role === 'bias' ? 0.05 : Math.sqrt(gain / fanIn);
    weights.set(name, {
      shape,
      data: Float32Array.from({ length: elementCount(shape) }, () => deviation * random.normal()),
    });
  }
  return weights;
}

/** Standard normal pixels, [batch, side, side, 3]; image i is the same in every batch size. */
export function seededImages(batch: number, side: number, seed = 7): Tensor<Float32Array> {
  const pixels = side * side * 3;
  const data = new Float32Array(batch * pixels);
  for (let image = 0; image < batch; image++) {
    const random = createRandom(seed + image);
    for (let i = 0; i < pixels; i++) data[image * pixels + i] = random.normal();
  }
  return { shape: [batch, side, side, 3], data };
}
