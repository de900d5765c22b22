import { GraphError, ShapeError } from '../errors.ts';
import { type GraphBuilder, graphBuilder } from '../graph/builder.ts';
import { type CheckedGraph, isLearned, type Node, type ValueId, valueAt } from '../graph/graph.ts';
import { formatShape, sameShape } from '../tensor/tensor.ts';
import { vjp } from './vjp.ts';

export interface Differentiated {
  /** The same values and nodes, then those of the backward pass: `<node>.grad…`, `<value>.gradient`. */
  readonly graph: CheckedGraph;
  /** d loss / d value, of the value's shape. */
  readonly gradients: ReadonlyMap<ValueId, ValueId>;
}

/**
 * Appends the backward pass of a loss [1], in reverse running order, from d loss = 1. Cotangents of a value with
 * several uses are joined by one `sum`; nothing is computed for values that no wanted one leads to.
 * @param wanted values to differentiate by; default every learned parameter that the loss depends on
 * @throws GraphError where a wanted value does not lead to the loss or an op on the way has no gradient; ShapeError
 * where the loss is not one number
 */
export function differentiate(
  graph: CheckedGraph,
  loss: ValueId,
  wanted?: readonly ValueId[],
): Differentiated {
  const { name, shape } = valueAt(graph, loss);
  if (!sameShape(shape, [1]))
    throw new ShapeError(`loss "${name}": must be one number [1], found ${formatShape(shape)}.`, { shape });
  const reaching = reachingValues(graph, loss);
  const sources = wanted ?? learnedParameters(graph).filter((id) => reaching.has(id));
  const stray = sources.filter((id) => !reaching.has(id)).map((id) => `"${valueAt(graph, id).name}"`);
  if (stray.length > 0)
    throw new GraphError(`loss "${name}": does not depend on ${stray.join(', ')}.`, { stray });
  const b = graphBuilder(graph.name, graph);
  const cotangents = new Map<ValueId, ValueId[]>();
  if (sources.length > 0)
    cotangents.set(loss, [b.node('constant', `${name}.gradient`, { shape, value: 1 }, [])]);
  const active = activeValues(graph, sources);
  for (const node of graph.nodes.toReversed()) backward(graph, b, node, active, cotangents);
  const gradients = new Map<ValueId, ValueId>();
  for (const id of sources) {
    const gradient = joined(graph, b, id, cotangents);
    if (gradient !== undefined) gradients.set(id, gradient);
  }
  return { graph: b.finish(), gradients };
}

function learnedParameters(graph: CheckedGraph): readonly ValueId[] {
  return graph.parameters.filter(({ role }) => isLearned(role)).map(({ value }) => value);
}

/** Values on which the loss depends, itself included. */
function reachingValues(graph: CheckedGraph, loss: ValueId): ReadonlySet<ValueId> {
  const reaching = new Set([loss]);
  for (const node of graph.nodes.toReversed())
    if (node.outputs.some((id) => reaching.has(id))) for (const id of node.inputs) reaching.add(id);
  return reaching;
}

/** Values that depend on one of the sources, themselves included. */
function activeValues(graph: CheckedGraph, sources: readonly ValueId[]): ReadonlySet<ValueId> {
  const active = new Set(sources);
  for (const node of graph.nodes)
    if (node.inputs.some((id) => active.has(id))) for (const id of node.outputs) active.add(id);
  return active;
}

/** Hands the cotangents of a node's outputs on to those of its inputs that depend on a wanted value. */
function backward(
  graph: CheckedGraph,
  b: GraphBuilder,
  node: Node,
  active: ReadonlySet<ValueId>,
  cotangents: Map<ValueId, ValueId[]>,
): void {
  const wanted = node.inputs.map((id) => active.has(id));
  const wants = (index: number): boolean => wanted[index] === true;
  if (!wanted.includes(true)) return;
  if (!node.outputs.some((id) => cotangents.has(id))) return;
  const dy = node.outputs.map((id) => joined(graph, b, id, cotangents));
  vjp(node, { b, dy, wants }).forEach((cotangent, index) => {
    const input = node.inputs[index];
    if (cotangent === undefined || input === undefined || !wants(index)) return;
    const known = cotangents.get(input);
    if (known) known.push(cotangent);
    else cotangents.set(input, [cotangent]);
  });
}

/** The cotangent of a value, none if nothing that leads to the loss uses it. */
function joined(
  graph: CheckedGraph,
  b: GraphBuilder,
  id: ValueId,
  cotangents: Map<ValueId, ValueId[]>,
): ValueId | undefined {
  const terms = cotangents.get(id) ?? [];
  if (terms.length < 2) return terms[0];
  const sum = b.node('sum', `${valueAt(graph, id).name}.gradient`, {}, terms);
  cotangents.set(id, [sum]);
  return sum;
}
