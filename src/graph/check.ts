import { GraphError, ShapeError } from '../errors.ts';
import { formatShape, type Shape, sameShape } from '../tensor/tensor.ts';
import { type CheckedGraph, type Graph, type Node, type ValueId, valueAt } from './graph.ts';
import { outputShapes } from './node-rules.ts';
import { ops } from './ops/ops.ts';

/**
 * Proves that a graph is whole: every name unique, every value defined once and before its use, every node's
 * inputs as many and of such shapes as its op needs, every output defined.
 * @throws GraphError listing every fault at once
 */
export function checkGraph(graph: Graph): CheckedGraph {
  const faults = graphFaults(graph);
  if (faults.length > 0) {
    throw new GraphError(
      `graph "${graph.name}" has ${faults.length} fault${faults.length > 1 ? 's' : ''}:\n  ${faults.join('\n  ')}`,
      { faults },
    );
  }
  return graph as CheckedGraph;
}

function graphFaults(graph: Graph): readonly string[] {
  const faults: string[] = [];
  const defined = new Set<ValueId>();
  const define = (id: ValueId, by: string): void => {
    if (graph.values[id] === undefined) faults.push(`${by}: value #${id} does not exist`);
    else if (defined.has(id)) faults.push(`${by}: value "${valueAt(graph, id).name}" is defined twice`);
    defined.add(id);
  };
  for (const id of graph.inputs) define(id, 'inputs');
  for (const { value } of graph.parameters) define(value, 'parameters');
  faults.push(
    ...repeated(
      'value',
      graph.values.map((value) => value.name),
    ),
  );
  faults.push(
    ...repeated(
      'node',
      graph.nodes.map((node) => node.name),
    ),
  );
  faults.push(
    ...repeated(
      'output',
      graph.outputs.map((output) => output.name),
    ),
  );
  for (const value of graph.values)
    if (!value.shape.every((dim) => Number.isSafeInteger(dim) && dim > 0))
      faults.push(`value "${value.name}": ${formatShape(value.shape)} must hold positive integers`);
  for (const node of graph.nodes) {
    for (const id of node.inputs)
      if (!defined.has(id))
        faults.push(`${where(node)}: input "${valueAt(graph, id).name}" is not defined before it`);
    faults.push(...nodeFaults(graph, node));
    for (const id of node.outputs) define(id, where(node));
  }
  if (graph.outputs.length === 0) faults.push('outputs: there are none');
  for (const { name, value } of graph.outputs)
    if (!defined.has(value))
      faults.push(`output "${name}": value "${valueAt(graph, value).name}" is never defined`);
  return [...faults, ...updateFaults(graph, defined), ...gateFaults(graph)];
}

function gateFaults({ gate, ...graph }: Graph): readonly string[] {
  if (gate === undefined) return [];
  const behind = new Set(graph.nodes.slice(gate.at).flatMap(({ outputs }) => outputs));
  const late = graph.outputs.filter(({ value }) => behind.has(value));
  const { name, shape } = valueAt(graph, gate.open);
  return [
    ...late.map((output) => `output "${output.name}": it is computed behind the gate`),
    ...(graph.inputs.includes(gate.open) && sameShape(shape, [1])
      ? []
      : [`gate: "${name}" must be an input [1], found ${formatShape(shape)}`]),
  ];
}

function updateFaults(graph: Graph, defined: ReadonlySet<ValueId>): readonly string[] {
  const parameters = new Set(graph.parameters.map(({ value }) => value));
  const seen = new Set<ValueId>();
  return graph.updates.flatMap(({ parameter, value }) => {
    const [to, from] = [valueAt(graph, parameter), valueAt(graph, value)];
    const faults: string[] = [];
    if (!parameters.has(parameter)) faults.push(`update of "${to.name}": it is no parameter`);
    if (seen.has(parameter)) faults.push(`update of "${to.name}": it is updated twice`);
    if (!defined.has(value)) faults.push(`update of "${to.name}": value "${from.name}" is never defined`);
    if (!sameShape(to.shape, from.shape))
      faults.push(
        `update of "${to.name}": it is ${formatShape(to.shape)}, but "${from.name}" is ${formatShape(from.shape)}`,
      );
    seen.add(parameter);
    return faults;
  });
}

const where = (node: Pick<Node, 'kind' | 'name'>): string => `${node.kind} "${node.name}"`;

function nodeFaults(graph: Graph, node: Node): readonly string[] {
  if (!Object.hasOwn(ops, node.kind)) return [`${where(node)}: unknown op`];
  const definition = ops[node.kind];
  const repeats = definition.inputs.at(-1)?.endsWith('…') ?? false;
  const most = repeats ? Number.POSITIVE_INFINITY : definition.inputs.length;
  if (node.inputs.length < definition.required || node.inputs.length > most)
    return [`${where(node)}: needs inputs (${definition.inputs.join(', ')}), found ${node.inputs.length}`];
  let expected: readonly Shape[];
  try {
    expected = inferred(graph, node);
  } catch (error) {
    if (error instanceof ShapeError) return [`${where(node)}: ${error.message}`];
    throw error;
  }
  if (expected.length !== node.outputs.length)
    return [`${where(node)}: gives ${expected.length} outputs, but ${node.outputs.length} are declared`];
  return node.outputs.flatMap((id, i) => {
    const [declared, actual] = [valueAt(graph, id).shape, expected[i] ?? []];
    return sameShape(declared, actual)
      ? []
      : [
          `${where(node)}: gives ${formatShape(actual)}, but "${valueAt(graph, id).name}" is declared ${formatShape(declared)}`,
        ];
  });
}

function inferred(graph: Graph, node: Node): readonly Shape[] {
  return outputShapes(
    node.kind,
    node.attrs,
    node.inputs.map((id) => valueAt(graph, id).shape),
  );
}

function repeated(what: string, names: readonly string[]): readonly string[] {
  const seen = new Set<string>();
  const twice = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) twice.add(name);
    seen.add(name);
  }
  return [...twice].map((name) => `${what} name "${name}" is used more than once`);
}
