import { ShapeError } from '../errors.ts';
import type { Shape } from '../tensor/tensor.ts';
import { checkGraph } from './check.ts';
import type {
  CheckedGraph,
  Graph,
  Node,
  OpAttrs,
  OpKind,
  Parameter,
  ParameterRole,
  Value,
  ValueId,
} from './graph.ts';
import { makeNode, outputShapes } from './node-rules.ts';

/** Puts a graph together in running order; shapes follow from the op table. */
export interface GraphBuilder {
  readonly input: (name: string, shape: Shape) => ValueId;
  readonly parameter: (name: string, shape: Shape, role: ParameterRole) => ValueId;
  /** One node and its first output. @throws ShapeError naming the node when its inputs do not fit */
  readonly node: <K extends OpKind>(
    kind: K,
    name: string,
    attrs: OpAttrs[K],
    inputs: readonly ValueId[],
  ) => ValueId;
  /** One node and all its outputs. @throws ShapeError likewise */
  readonly results: <K extends OpKind>(
    kind: K,
    name: string,
    attrs: OpAttrs[K],
    inputs: readonly ValueId[],
  ) => readonly ValueId[];
  readonly output: (name: string, value: ValueId) => void;
  /** @see Graph.updates */
  readonly update: (parameter: ValueId, value: ValueId) => void;
  /** What is added from here on runs only where the input [1] is not 0; once a graph. @see Gate */
  readonly gate: (open: ValueId) => void;
  readonly shape: (value: ValueId) => Shape;
  /** @throws GraphError */
  readonly finish: () => CheckedGraph;
}

/** @param start a graph to go on from: its values keep their ids */
export function graphBuilder(graphName: string, start?: Graph): GraphBuilder {
  const values: Value[] = [...(start?.values ?? [])];
  const inputs: ValueId[] = [...(start?.inputs ?? [])];
  const parameters: Parameter[] = [...(start?.parameters ?? [])];
  const nodes: Node[] = [...(start?.nodes ?? [])];
  const outputs: { name: string; value: ValueId }[] = [...(start?.outputs ?? [])];
  const updates: { parameter: ValueId; value: ValueId }[] = [...(start?.updates ?? [])];
  let { gate } = start ?? {};
  const define = (name: string, shape: Shape): ValueId => (values.push({ name, shape }) - 1) as ValueId;
  const shape = (value: ValueId): Shape => values[value]?.shape ?? [];
  const results: GraphBuilder['results'] = (kind, name, attrs, from) => {
    const shapes = shapesOrFail(kind, name, attrs, from.map(shape));
    const made = shapes.map((dims, i) => define(i === 0 ? name : `${name}:${i}`, dims));
    nodes.push(makeNode(kind, { name, attrs, inputs: from, outputs: made }));
    return made;
  };
  return {
    input: (name, dims) => {
      const id = define(name, dims);
      inputs.push(id);
      return id;
    },
    parameter: (name, dims, role) => {
      const value = define(name, dims);
      parameters.push({ value, role });
      return value;
    },
    node: (kind, name, attrs, from) => {
      const output = results(kind, name, attrs, from)[0];
      if (output === undefined) throw new ShapeError(`${kind} "${name}": gives no output.`);
      return output;
    },
    results,
    output: (name, value) => {
      outputs.push({ name, value });
    },
    update: (parameter, value) => {
      updates.push({ parameter, value });
    },
    gate: (open) => {
      gate = { at: nodes.length, open };
    },
    shape,
    finish: () => checkGraph({ name: graphName, values, inputs, parameters, nodes, outputs, updates, gate }),
  };
}

function shapesOrFail<K extends OpKind>(
  kind: K,
  name: string,
  attrs: OpAttrs[K],
  inputs: readonly Shape[],
): readonly Shape[] {
  try {
    return outputShapes(kind, attrs, inputs);
  } catch (cause) {
    if (!(cause instanceof ShapeError)) throw cause;
    throw new ShapeError(`${kind} "${name}": ${cause.message}.`, { node: name, inputs }, { cause });
  }
}
