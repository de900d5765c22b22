/** Dense convolutions and linear layers with a bias, whose factors precision bf16 rounds; and what stands beside them. */
import { type CheckedGraph, type Node, type ValueId, valueAt } from '../graph/graph.ts';
import type { Tensor, Weights } from '../tensor/tensor.ts';

export interface Product {
  readonly node: Node<'conv2d' | 'linear'>;
  readonly input: ValueId;
  /** Names of parameters: weight [O, I] or [O, I, kH, kW], a row of `columns` numbers for each output; bias [O]. */
  readonly weight: string;
  readonly bias: string;
  readonly columns: number;
}

export function productsOf(graph: CheckedGraph): readonly Product[] {
  return graph.nodes.flatMap((node): readonly Product[] => {
    if (node.kind !== 'linear' && !(node.kind === 'conv2d' && node.attrs.geometry.groups === 1)) return [];
    const [input, weight, bias] = node.inputs;
    if (input === undefined || weight === undefined || bias === undefined) return [];
    const { name, shape } = valueAt(graph, weight);
    const columns = shape.slice(1).reduce((count, size) => count * size, 1);
    return [{ node, input, weight: name, bias: valueAt(graph, bias).name, columns }];
  });
}

/** Who gives a value and who alone reads it; no one does if it is an output, or read twice. */
export interface Neighbours {
  readonly giver: (value: ValueId | undefined) => Node | undefined;
  readonly reader: (value: ValueId | undefined) => Node | undefined;
}

export function neighboursIn(graph: CheckedGraph): Neighbours {
  const givers = new Map<ValueId | undefined, Node>();
  const readers = new Map<ValueId | undefined, Node | 'several'>();
  for (const node of graph.nodes) {
    for (const value of node.outputs) givers.set(value, node);
    for (const value of node.inputs) readers.set(value, readers.has(value) ? 'several' : node);
  }
  for (const { value } of [...graph.outputs, ...graph.updates]) readers.set(value, 'several');
  return {
    giver: (value) => givers.get(value),
    reader: (value) => {
      const reader = readers.get(value);
      return reader === 'several' ? undefined : reader;
    },
  };
}

export interface NamedTensor {
  readonly name: string;
  readonly tensor: Tensor;
}

/** A node's parameter, which may be changed because no other node reads it. */
export function ownParameter(
  graph: CheckedGraph,
  weights: Weights,
  { reader }: Neighbours,
  node: Node,
  index: number,
): NamedTensor | undefined {
  const id = node.inputs[index];
  if (id === undefined || reader(id) !== node) return undefined;
  const { name } = valueAt(graph, id);
  const tensor = weights.get(name);
  return tensor && { name, tensor };
}
