import { type CheckedGraph, type ValueId, valueAt } from '../../graph/graph.ts';
import { elementCount, type Tensor } from '../../tensor/tensor.ts';
import { type Arena, type Lifetime, layOut } from './arena.ts';
import type { Program } from './lower.ts';

const F32_BYTES = 4;

/** Where tensors between tasks live. */
export interface Placement {
  /** Arena offset of every value that is an input, or is written by a task. */
  readonly values: ReadonlyMap<ValueId, number>;
  /** Arena offset of each task's scratch memory. */
  readonly scratch: readonly number[];
  readonly bytes: number;
}

/** Memory that several values use one after the other, each overwriting the one before. */
interface Buffer {
  readonly values: readonly ValueId[];
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

/**
 * Liveness of values and scratch memory → one arena. Inputs live from before the first task, outputs to after
 * the last; a task writes over an input that nothing needs afterwards, where it may.
 * @param parameters read as tensors; they live among the constants and are never overwritten
 */
export function place(
  graph: CheckedGraph,
  program: Program,
  parameters: ReadonlyMap<ValueId, Tensor>,
): Placement {
  const last = lastUses(graph, program);
  const buffers = new Map<ValueId, Buffer>();
  const bytesOf = (value: ValueId): number => elementCount(valueAt(graph, value).shape) * F32_BYTES;
  for (const value of graph.inputs)
    buffers.set(value, { values: [value], bytes: bytesOf(value), first: -1, last: last.get(value) ?? -1 });
  program.tasks.forEach(({ inputs, output, inPlace }, index) => {
    const bytes = bytesOf(output);
    const end = last.get(output) ?? index;
    const reusable = inPlace
      .map((i) => inputs[i])
      .find((value) => {
        const buffer = value === undefined || parameters.has(value) ? undefined : buffers.get(value);
        return buffer?.last === index && buffer.bytes === bytes;
      });
    const old = reusable === undefined ? undefined : buffers.get(reusable);
    const buffer = old
      ? { ...old, values: [...old.values, output], last: end }
      : { values: [output], bytes, first: index, last: end };
    for (const value of buffer.values) buffers.set(value, buffer);
  });
  const whole = [...new Set(buffers.values())];
  const scratch = program.tasks.map(
    ({ plan }, index): Lifetime => ({ bytes: plan.scratchBytes, first: index, last: index }),
  );
  const arena: Arena = layOut([...whole, ...scratch]);
  const values = new Map<ValueId, number>();
  whole.forEach((buffer, i) => {
    for (const value of buffer.values) values.set(value, arena.offsets[i] ?? 0);
  });
  return { values, scratch: arena.offsets.slice(whole.length), bytes: arena.bytes };
}

/** The last task that reads each value; past the end for outputs. */
function lastUses(graph: CheckedGraph, { tasks, storage }: Program): ReadonlyMap<ValueId, number> {
  const last = new Map<ValueId, number>();
  tasks.forEach(({ inputs, output }, index) => {
    last.set(output, index);
    for (const value of inputs) last.set(value, index);
  });
  for (const { value } of graph.outputs) last.set(storage(value), tasks.length);
  return last;
}
