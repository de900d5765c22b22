import { UsageError } from '../../src/errors.ts';
import type { ConvGeometry } from '../../src/graph/geometry.ts';
import { type Node, type ValueId, valueAt } from '../../src/graph/graph.ts';
import type { Net } from '../../src/graph/net.ts';
import type { Shape, Tensor } from '../../src/tensor/tensor.ts';

/** A deploy net without squeeze-excite, as engines that know no graph of ours build it. */
export type ChainLayer =
  | {
      readonly kind: 'conv';
      readonly name: string;
      readonly geometry: ConvGeometry;
      /** NHWC. */
      readonly input: Shape;
      readonly output: Shape;
      /** OIHW. */
      readonly weight: Tensor;
      readonly bias: Tensor;
      readonly relu: boolean;
    }
  | { readonly kind: 'pool'; readonly channels: number }
  | { readonly kind: 'linear'; readonly name: string; readonly weight: Tensor; readonly bias: Tensor };

/** @throws UsageError for a net that is no such chain */
export function chainOf({ graph, weights }: Net): readonly ChainLayer[] {
  const layers: ChainLayer[] = [];
  const shape = (id: ValueId | undefined): Shape => (id === undefined ? [] : valueAt(graph, id).shape);
  const parameter = (node: Node, index: number): Tensor => {
    const id = node.inputs[index];
    const found = id === undefined ? undefined : weights.get(valueAt(graph, id).name);
    if (found === undefined)
      throw new UsageError(`chain: ${node.kind} "${node.name}" lacks operand ${index}.`);
    return found;
  };
  let end = graph.inputs[0];
  for (const node of graph.nodes) {
    if (node.inputs[0] !== end)
      throw new UsageError(`chain: "${node.name}" does not follow the node before it.`);
    end = node.outputs[0];
    const last = layers.at(-1);
    if (node.kind === 'conv2d')
      layers.push({
        kind: 'conv',
        name: node.name,
        geometry: node.attrs.geometry,
        input: shape(node.inputs[0]),
        output: shape(end),
        weight: parameter(node, 1),
        bias: parameter(node, 2),
        relu: false,
      });
    else if (node.kind === 'activation' && node.attrs.fn === 'relu' && last?.kind === 'conv')
      layers[layers.length - 1] = { ...last, relu: true };
    else if (node.kind === 'globalAveragePool')
      layers.push({ kind: 'pool', channels: shape(end).at(-1) ?? 0 });
    else if (node.kind === 'linear')
      layers.push({ kind: 'linear', name: node.name, weight: parameter(node, 1), bias: parameter(node, 2) });
    else if (node.kind !== 'flatten')
      throw new UsageError(`chain: ${node.kind} "${node.name}" has no place in a plain chain.`);
  }
  return layers;
}

/** OIHW weights in another order of axes, e.g. `[2, 3, 1, 0]` for HWIO. */
export function permuteAxes({ shape, data }: Tensor, order: readonly number[]): Float32Array {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
  const target = order.map((axis) => ({ size: shape[axis] ?? 1, stride: strides[axis] ?? 1 }));
  const result = new Float32Array(data.length);
  for (let i = 0; i < result.length; i++) {
    let rest = i;
    let from = 0;
    for (let axis = target.length - 1; axis >= 0; axis--) {
      const { size, stride } = target[axis] ?? { size: 1, stride: 1 };
      from += (rest % size) * stride;
      rest = Math.floor(rest / size);
    }
    result[i] = data[from] ?? 0;
  }
  return result;
}
