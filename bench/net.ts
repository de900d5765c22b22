import { type CheckedGraph, type ValueId, valueAt } from '../src/graph/graph.ts';
import type { Net } from '../src/graph/net.ts';
import { mobileOneConfig, type VariantName } from '../src/model/config.ts';
import { buildMobileOne, inputName } from '../src/model/mobileone.ts';
import { createRandom } from '../src/tensor/random.ts';
import { elementCount, type Tensor, type Weights } from '../src/tensor/tensor.ts';

/** Side of the picture in every row. */
export const side = 224;
export const imageName = inputName;

/** The deploy graph whose only output is `logits`. */
export function benchGraph(variant: VariantName, batch: number): CheckedGraph {
  return buildMobileOne(mobileOneConfig(variant), { form: 'deploy', batch, height: side, width: side });
}

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

export function seededNet(variant: VariantName, batch = 1): Net {
  const graph = benchGraph(variant, batch);
  return { graph, weights: seededWeights(graph) };
}

/** Standard normal pixels, [batch, 224, 224, 3]; image i is the same in every batch size. */
export function seededImages(batch: number, seed = 7): Tensor<Float32Array> {
  const pixels = side * side * 3;
  const data = new Float32Array(batch * pixels);
  for (let image = 0; image < batch; image++) {
    const random = createRandom(seed + image);
    for (let i = 0; i < pixels; i++) data[image * pixels + i] = random.normal();
  }
  return { shape: [batch, side, side, 3], data };
}

/** NHWC → NCHW, for engines that take pictures so. */
export function channelsFirst({ shape, data }: Tensor<Float32Array>): Tensor<Float32Array> {
  const [n = 0, h = 0, w = 0, c = 0] = shape;
  const result = new Float32Array(data.length);
  const area = h * w;
  for (let image = 0; image < n; image++)
    for (let i = 0; i < area; i++)
      for (let k = 0; k < c; k++) result[(image * c + k) * area + i] = data[(image * area + i) * c + k] ?? 0;
  return { shape: [n, c, h, w], data: result };
}
