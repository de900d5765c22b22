import { type CheckedGraph, type ValueId, valueAt } from '../../graph/graph.ts';
import { pixelBytes } from '../../kernel/vector/storage.ts';
import { elementCount, type Tensor } from '../../tensor/tensor.ts';
import { type Arena, type Lifetime, layOut } from './arena.ts';
import type { Program } from './program.ts';

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
  readonly values: ValueId[];
  readonly bytes: number;
  readonly first: number;
  last: number;
  /** The task that wrote it last. */
  writer: number;
}

/**
 * Liveness of values and scratch memory → one arena. Inputs live from before the first task, outputs to after
 * the last; a task writes over an input that nothing needs afterwards, where it may. Values with a home are no part of
 * it.
 * @param parameters read as tensors; they live among the constants and are never overwritten
 */
export function place(
  graph: CheckedGraph,
  program: Program,
  parameters: ReadonlyMap<ValueId, Tensor>,
): Placement {
  const last = lastUses(graph, program);
  const buffers = new Map<ValueId, Buffer>();
  const bytesOf = (value: ValueId): number =>
    pixelBytes(program.typeOf(value), elementCount(valueAt(graph, value).shape));
  for (const value of graph.inputs)
    buffers.set(value, {
      values: [value],
      bytes: bytesOf(value),
      first: -1,
      last: last.get(value) ?? -1,
      writer: -1,
    });
  program.tasks.forEach(({ inputs, outputs, inPlace }, index) => {
    outputs.forEach((output, o) => {
      if (parameters.has(output) || program.homes.has(output)) return;
      const bytes = bytesOf(output);
      const end = last.get(output) ?? index;
      const reusable = inPlace[o]
        ?.flatMap((i) => buffers.get(inputs[i] ?? output) ?? [])
        .find((each) => each.last === index && each.bytes === bytes && each.writer !== index);
      const buffer = reusable ?? { values: [], bytes, first: index, last: end, writer: index };
      buffer.values.push(output);
      buffer.last = end;
      buffer.writer = index;
      buffers.set(output, buffer);
    });
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
  tasks.forEach(({ inputs, outputs }, index) => {
    for (const value of outputs) last.set(value, index);
    for (const value of inputs) last.set(value, index);
  });
  for (const { value } of graph.outputs) last.set(storage(value), tasks.length);
  return last;
}
