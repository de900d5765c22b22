import { EngineError, ShapeError, WeightsError } from '../errors.ts';
import { type CheckedGraph, type ValueId, valueAt } from '../graph/graph.ts';
import { elementCount, formatShape, sameShape, type Tensor, type Weights } from '../tensor/tensor.ts';

/** Tensors of every parameter of a graph, by value id. @throws WeightsError naming all that are missing or misshapen */
export function bindParameters(graph: CheckedGraph, weights: Weights): ReadonlyMap<ValueId, Tensor> {
  const bound = new Map<ValueId, Tensor>();
  const faults: string[] = [];
  for (const { value } of graph.parameters) {
    const { name, shape } = valueAt(graph, value);
    const found = weights.get(name);
    if (found === undefined) faults.push(`"${name}" ${formatShape(shape)} is missing`);
    else if (!sameShape(found.shape, shape))
      faults.push(`"${name}" must be ${formatShape(shape)}, found ${formatShape(found.shape)}`);
    else if (found.data.length !== elementCount(shape))
      faults.push(
        `"${name}" ${formatShape(shape)} needs ${elementCount(shape)} values, but its data has ${found.data.length}`,
      );
    else bound.set(value, found);
  }
  if (faults.length > 0) {
    const shown = faults.slice(0, 8).join('; ');
    const rest = faults.length > 8 ? `; and ${faults.length - 8} more` : '';
    throw new WeightsError(`weights for graph "${graph.name}": ${shown}${rest}.`, { faults });
  }
  return bound;
}

/** Tensors of every input of a graph, by value id. @throws ShapeError, or EngineError for an input of no such name */
export function bindInputs(
  graph: CheckedGraph,
  inputs: Readonly<Record<string, Tensor>>,
): ReadonlyMap<ValueId, Tensor> {
  const bound = new Map<ValueId, Tensor>();
  const names = graph.inputs.map((id) => valueAt(graph, id).name);
  for (const name of Object.keys(inputs))
    if (!names.includes(name))
      throw new EngineError(
        `graph "${graph.name}" has no input "${name}"; its inputs are ${names.join(', ')}.`,
      );
  for (const id of graph.inputs) {
    const { name, shape } = valueAt(graph, id);
    const found = Object.hasOwn(inputs, name) ? inputs[name] : undefined;
    if (found === undefined || !sameShape(found.shape, shape))
      throw new ShapeError(
        `graph "${graph.name}": input "${name}" must be ${formatShape(shape)}, found ${found ? formatShape(found.shape) : 'nothing'}.`,
        { input: name, expected: shape, found: found?.shape },
      );
    if (found.data.length !== elementCount(shape))
      throw new ShapeError(
        `graph "${graph.name}": input "${name}" ${formatShape(shape)} needs ${elementCount(shape)} values, but its data has ${found.data.length}.`,
        { input: name, length: found.data.length },
      );
    bound.set(id, found);
  }
  return bound;
}
