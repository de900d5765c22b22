import { GraphError } from '../errors.ts';
import { type GraphBuilder, graphBuilder } from '../graph/builder.ts';
import { type CheckedGraph, type Node, type OpKind, type ValueId, valueAt } from '../graph/graph.ts';

export interface Rewriter {
  /** Values that stand for the node's outputs, none to leave it out, or undefined to copy it. */
  readonly replace: (node: Node) => readonly ValueId[] | undefined;
  /** Called once all nodes are there. */
  readonly finish?: () => void;
}

/**
 * Copies a graph node by node, except for what `replace` does otherwise. Inputs, parameters, outputs, updates, gate
 * and names stay.
 * @param rewriter made with the new graph's builder and what tells which value an old one has become
 * @throws GraphError where a value is used whose node was left out
 */
export function rewriteGraph(
  graph: CheckedGraph,
  rewriter: (b: GraphBuilder, now: (id: ValueId) => ValueId) => Rewriter,
): CheckedGraph {
  const b = graphBuilder(graph.name);
  const renewed = new Map<ValueId, ValueId>();
  const now = (id: ValueId): ValueId => {
    const found = renewed.get(id);
    if (found !== undefined) return found;
    const { name } = valueAt(graph, id);
    throw new GraphError(`graph "${graph.name}": value "${name}" is used, but its node was left out.`);
  };
  for (const id of graph.inputs) renewed.set(id, b.input(valueAt(graph, id).name, valueAt(graph, id).shape));
  for (const { value, role } of graph.parameters)
    renewed.set(value, b.parameter(valueAt(graph, value).name, valueAt(graph, value).shape, role));
  const { replace, finish } = rewriter(b, now);
  const { gate } = graph;
  graph.nodes.forEach((node, index) => {
    if (index === gate?.at) b.gate(now(gate.open));
    const made = replace(node) ?? copyNode(b, node, node.inputs.map(now));
    node.outputs.forEach((old, i) => {
      const value = made[i];
      if (value !== undefined) renewed.set(old, value);
    });
  });
  finish?.();
  for (const { name, value } of graph.outputs) b.output(name, now(value));
  for (const { parameter, value } of graph.updates) b.update(now(parameter), now(value));
  return b.finish();
}

function copyNode<K extends OpKind>(
  b: GraphBuilder,
  node: Node<K>,
  inputs: readonly ValueId[],
): readonly ValueId[] {
  return b.results(node.kind, node.name, node.attrs, inputs);
}
