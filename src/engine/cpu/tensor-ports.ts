import type { MachineMemory } from '../../assembler/machine.ts';
import { EngineError, ShapeError } from '../../errors.ts';
import { elementCount, formatShape, type Shape, sameShape, type Tensor } from '../../tensor/tensor.ts';
import type { NamedTensors } from '../engine.ts';

/** What an input or output must be. */
export interface Place {
  readonly name: string;
  readonly shape: Shape;
}

/** Where a graph input is copied to, or an output from. */
export interface Port extends Place {
  readonly values: Float32Array;
}

export function makePort(
  memory: MachineMemory,
  name: string,
  shape: Shape,
  offset: number,
  count: number,
): Port {
  const { buffer, byteOffset } = memory.view(offset, count * 4);
  return { name, shape, values: new Float32Array(buffer, byteOffset, count) };
}

function checkRecord(
  graph: string,
  what: 'input' | 'output',
  ports: readonly Place[],
  given: NamedTensors,
): void {
  if (typeof given !== 'object' || given === null)
    throw new ShapeError(`graph "${graph}": ${what}s must be an object of tensors by name, found ${given}.`);
  for (const name of Object.keys(given))
    if (!ports.some((port) => port.name === name))
      throw new EngineError(
        `graph "${graph}" has no ${what} "${name}"; its ${what}s are ${ports.map((port) => port.name).join(', ')}.`,
      );
}

function checkTensor(
  graph: string,
  what: 'input' | 'output',
  place: Place,
  found: Tensor | undefined,
): Tensor {
  const { name, shape } = place;
  const count = elementCount(shape);
  if (found === undefined || !Array.isArray(found?.shape) || !sameShape(found.shape, shape))
    throw new ShapeError(
      `graph "${graph}": ${what} "${name}" must be ${formatShape(shape)}, found ${Array.isArray(found?.shape) ? formatShape(found.shape) : 'no tensor'}.`,
      { [what]: name, expected: shape, found: found?.shape },
    );
  const { data } = found;
  const numbers = data instanceof Float32Array || (what === 'input' && data instanceof Float64Array);
  if (!numbers || data.length !== count)
    throw new ShapeError(
      `graph "${graph}": ${what} "${name}" ${formatShape(shape)} needs ${count} numbers in a ${what === 'input' ? 'Float32Array or Float64Array' : 'Float32Array'}, found ${numbers ? data.length : 'other data'}.`,
      { [what]: name, expected: count },
    );
  return found;
}

/** @throws ShapeError or EngineError */
export function checkInputs(graph: string, places: readonly Place[], inputs: NamedTensors): void {
  checkRecord(graph, 'input', places, inputs);
  for (const place of places)
    checkTensor(graph, 'input', place, Object.hasOwn(inputs, place.name) ? inputs[place.name] : undefined);
}

/** Copies inputs to their places. @throws ShapeError or EngineError before anything is copied */
export function copyIn(graph: string, ports: readonly Port[], inputs: NamedTensors): void {
  checkInputs(graph, ports, inputs);
  for (const { name, values } of ports) values.set(inputs[name]?.data ?? []);
}

/** Checks the tensors that a caller wants overwritten. */
export function checkOutputs(
  graph: string,
  ports: readonly Place[],
  outputs: NamedTensors | undefined,
): void {
  if (outputs === undefined) return;
  checkRecord(graph, 'output', ports, outputs);
  for (const port of ports)
    if (Object.hasOwn(outputs, port.name)) checkTensor(graph, 'output', port, outputs[port.name]);
}

/** Copies outputs out, into the caller's tensors where given. */
export function copyOut(ports: readonly Port[], outputs: NamedTensors | undefined): NamedTensors {
  const result: Record<string, Tensor> = {};
  for (const { name, shape, values } of ports) {
    const given = outputs && Object.hasOwn(outputs, name) ? outputs[name] : undefined;
    if (given === undefined) result[name] = { shape, data: values.slice() };
    else {
      given.data.set(values);
      result[name] = given;
    }
  }
  return result;
}
