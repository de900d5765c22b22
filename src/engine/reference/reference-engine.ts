import { EngineError } from '../../errors.ts';
import { type CheckedGraph, type ValueId, valueAt } from '../../graph/graph.ts';
import { elementCount, type Shape, type Tensor, toFloat64, type Weights } from '../../tensor/tensor.ts';
import { bindInputs, bindParameters } from '../bind.ts';
import type { CompileOptions, Engine, Session } from '../engine.ts';
import { forward } from './forward.ts';

/** Plain loops with f64 accumulation: the truth that every other engine is tested against. */
export const referenceEngine: Engine = {
  name: 'reference',
  compile: async (graph, weights, options) => compileReference(graph, weights, options),
};

function compileReference(graph: CheckedGraph, weights: Weights, options: CompileOptions = {}): Session {
  const precision = options.precision ?? 'f32';
  if (precision === 'bf16')
    throw new EngineError(
      'reference engine: precision must be "f32" or "f64", found "bf16"; use engine "cpu".',
    );
  const wide = precision === 'f64';
  const parameters = new Map(bindParameters(graph, weights));
  const keep = (tensor: Tensor): Tensor => (wide ? toFloat64(tensor) : tensor);
  const allocate = (shape: Shape): Tensor => {
    const size = elementCount(shape);
    return { shape, data: wide ? new Float64Array(size) : new Float32Array(size) };
  };
  const lastUse = lastUses(graph);
  let disposed = false;
  return {
    run: async (inputs) => {
      if (disposed)
        throw new EngineError(`reference engine: graph "${graph.name}" was disposed; compile it again.`);
      const tensors = new Map<ValueId, Tensor>(parameters);
      for (const [id, tensor] of bindInputs(graph, inputs)) tensors.set(id, keep(tensor));
      const at = (id: ValueId): Tensor => {
        const found = tensors.get(id);
        if (found === undefined) throw new EngineError(`reference engine: value #${id} has no tensor.`);
        return found;
      };
      const { gate } = graph;
      const closed = gate !== undefined && at(gate.open).data[0] === 0;
      const nodes = closed ? graph.nodes.slice(0, gate.at) : graph.nodes;
      nodes.forEach((node, index) => {
        const outputs = node.outputs.map((id) => allocate(valueAt(graph, id).shape));
        forward(node, node.inputs.map(at), outputs);
        node.outputs.forEach((id, i) => {
          const output = outputs[i];
          if (output) tensors.set(id, output);
        });
        for (const dead of lastUse[index] ?? []) tensors.delete(dead);
      });
      const updates = closed ? updatesBefore(graph, gate.at) : graph.updates;
      const updated = updates.map(({ parameter, value }) => [parameter, at(value)] as const);
      for (const [parameter, tensor] of updated) parameters.set(parameter, copyOf(tensor));
      return Object.fromEntries(graph.outputs.map(({ name, value }) => [name, at(value)]));
    },
    state: () =>
      new Map(
        graph.updates.flatMap(({ parameter }) => {
          const tensor = parameters.get(parameter);
          return tensor ? [[valueAt(graph, parameter).name, copyOf(tensor)] as const] : [];
        }),
      ),
    dispose: () => {
      disposed = true;
    },
  };
}

/** Updates to values of the first nodes. */
function updatesBefore({ nodes, updates }: CheckedGraph, count: number): CheckedGraph['updates'] {
  const computed = new Set(nodes.slice(0, count).flatMap(({ outputs }) => outputs));
  return updates.filter(({ value }) => computed.has(value));
}

function copyOf({ shape, data }: Tensor): Tensor {
  return { shape, data: data.slice() as Tensor['data'] };
}

/** For each node, the values that nothing needs after it. */
function lastUses(graph: CheckedGraph): readonly (readonly ValueId[])[] {
  const last = new Map<ValueId, number>();
  graph.nodes.forEach((node, index) => {
    for (const id of [...node.inputs, ...node.outputs]) last.set(id, index);
  });
  for (const { value } of [...graph.outputs, ...graph.updates]) last.delete(value);
  const dead: ValueId[][] = graph.nodes.map(() => []);
  for (const [id, index] of last) dead[index]?.push(id);
  return dead;
}
