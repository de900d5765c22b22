/**
 * What rounding weights to bf16 costs is mostly a shift: the same in every position and picture, for what a layer reads
 * after an activation is seldom negative and errors of weights do not change. With w + δ the rounded weights of an output
 * and μ the mean of what they read, the shift is Σ δ μ; taken from the bias it is gone, at no cost when the net runs.
 */
import { checkGraph } from '../graph/check.ts';
import { type CheckedGraph, type Node, type Value, type ValueId, valueAt } from '../graph/graph.ts';
import { makeNode } from '../graph/node-rules.ts';
import { bfloat16ToNumber, numberToBfloat16 } from '../tensor/half.ts';
import type { Tensor, Weights } from '../tensor/tensor.ts';

/** A dense convolution or linear layer with a bias. */
interface Product {
  readonly input: ValueId;
  readonly weight: string;
  readonly bias: string;
}

function productsOf(graph: CheckedGraph): readonly Product[] {
  return graph.nodes.flatMap((node): readonly Product[] => {
    const dense = node.kind === 'linear' || (node.kind === 'conv2d' && node.attrs.geometry.groups === 1);
    const [input, weight, bias] = node.inputs;
    if (!dense || input === undefined || weight === undefined || bias === undefined) return [];
    return [{ input, weight: valueAt(graph, weight).name, bias: valueAt(graph, bias).name }];
  });
}

/** The net up to what its products read: outputs are the means over positions, [N, 1, 1, C] or [N, C], by name of the weight. */
export function productMeans(graph: CheckedGraph): CheckedGraph {
  const values: Value[] = [...graph.values];
  const nodes: Node[] = [...graph.nodes];
  const means = new Map<ValueId, ValueId>();
  for (const { input } of productsOf(graph)) {
    const { name, shape } = valueAt(graph, input);
    if (means.has(input)) continue;
    if (shape.length !== 4) {
      means.set(input, input);
      continue;
    }
    const mean = values.length as ValueId;
    values.push({ name: `mean of ${name}`, shape: [shape[0] ?? 0, 1, 1, shape[3] ?? 0] });
    const parts = { name: `mean of ${name}`, attrs: {}, inputs: [input], outputs: [mean] };
    nodes.push(makeNode('globalAveragePool', parts));
    means.set(input, mean);
  }
  const outputs = productsOf(graph).flatMap(({ input, weight }) => {
    const value = means.get(input);
    return value === undefined ? [] : [{ name: weight, value }];
  });
  return checkGraph({ ...graph, values, nodes, outputs });
}

/**
 * Biases that make up for rounding their layer's weights to bf16.
 * @param means per weight's name, the mean of each input channel; layers without are left as they are
 * @returns all weights: the same tensors but for the biases
 */
export function balanceRounding(
  graph: CheckedGraph,
  weights: Weights,
  means: ReadonlyMap<string, ArrayLike<number>>,
): Weights {
  const balanced = new Map<string, Tensor>(weights);
  for (const { weight, bias } of productsOf(graph)) {
    const [w, b, mean] = [weights.get(weight), weights.get(bias), means.get(weight)];
    if (w !== undefined && b !== undefined && mean !== undefined)
      balanced.set(bias, { shape: b.shape, data: withoutShift(w, b, mean) });
  }
  return balanced;
}

/** @param weight [O, I] or [O, I, kH, kW]; padding is taken for more of the same */
function withoutShift({ shape, data }: Tensor, bias: Tensor, mean: ArrayLike<number>): Float32Array {
  const [outputs = 0, inputs = 0, ...window] = shape;
  const taps = window.reduce((product, size) => product * size, 1);
  return Float32Array.from({ length: outputs }, (_, output) => {
    let shift = 0;
    for (let input = 0; input < inputs; input++)
      for (let tap = 0; tap < taps; tap++) {
        const value = data[(output * inputs + input) * taps + tap] ?? 0;
        shift += (bfloat16ToNumber(numberToBfloat16(value)) - value) * (mean[input] ?? 0);
      }
    return (bias.data[output] ?? 0) - shift;
  });
}
