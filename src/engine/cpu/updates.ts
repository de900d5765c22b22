import type { VectorTarget } from '../../assembler/vector-assembler.ts';
import { type CheckedGraph, type ValueId, valueAt } from '../../graph/graph.ts';
import { planElementwise } from '../../kernel/elementwise.ts';
import type { Tile } from '../../kernel/plan.ts';
import { type BufferPlace, renameTiles } from '../../kernel/rename-buffers.ts';
import { elementCount } from '../../tensor/tensor.ts';
import { alignUp } from './arena.ts';
import type { Task } from './program.ts';

export interface Updates {
  /** Values that are written where the parameter lies that they renew. */
  readonly homes: ReadonlyMap<ValueId, ValueId>;
  /** Copies that end a run. */
  readonly tasks: readonly Task[];
}

/**
 * How parameters come to hold their new values: a value is written into the parameter's memory by the task that
 * computes it, where nothing needs the old one any more; else it is copied there when everything else is done.
 */
export function planUpdates(
  graph: CheckedGraph,
  tasks: readonly Task[],
  storage: (value: ValueId) => ValueId,
  target: VectorTarget,
): Updates {
  const homes = new Map<ValueId, ValueId>();
  const copied: { parameter: ValueId; value: ValueId }[] = [];
  const mayMove = movable(graph, tasks, storage);
  for (const update of graph.updates) {
    const value = storage(update.value);
    if (value === update.parameter) continue;
    if (!homes.has(value) && mayMove(update.parameter, value)) homes.set(value, update.parameter);
    else copied.push({ parameter: update.parameter, value });
  }
  return { homes, tasks: copied.length === 0 ? [] : [copyTask(graph, copied, target)] };
}

/** Whether a value may be written where a parameter lies. */
function movable(
  graph: CheckedGraph,
  tasks: readonly Task[],
  storage: (value: ValueId) => ValueId,
): (parameter: ValueId, value: ValueId) => boolean {
  const writers = new Map<ValueId, { index: number; output: number }>();
  const lastReaders = new Map<ValueId, number>();
  tasks.forEach((task, index) => {
    for (const [output, value] of task.outputs.entries()) writers.set(value, { index, output });
    for (const value of task.inputs) lastReaders.set(value, index);
  });
  const inputsOf = tasks.map(positionsOfInputs);
  // What a caller gets, or another parameter takes, is the old value.
  for (const { value } of [...graph.outputs, ...graph.updates]) {
    if (!writers.has(storage(value))) lastReaders.set(storage(value), tasks.length);
  }
  return (parameter, value) => {
    const writer = writers.get(value);
    const last = lastReaders.get(parameter) ?? -1;
    if (writer === undefined || last > writer.index) return false;
    if (last < writer.index) return true;
    const safe = tasks[writer.index]?.inPlace[writer.output] ?? [];
    return (inputsOf[writer.index]?.get(parameter) ?? []).every((i) => safe.includes(i));
  };
}

/** A task that was gathered from many has thousands of inputs. */
function positionsOfInputs({ inputs }: Task): ReadonlyMap<ValueId, readonly number[]> {
  const positions = new Map<ValueId, number[]>();
  inputs.forEach((value, i) => {
    const known = positions.get(value);
    if (known) known.push(i);
    else positions.set(value, [i]);
  });
  return positions;
}

type Copies = readonly { readonly parameter: ValueId; readonly value: ValueId }[];

/** Old values that other parameters take are saved first. */
function copyTask(graph: CheckedGraph, copies: Copies, target: VectorTarget): Task {
  const overwritten = new Set(copies.map(({ parameter }) => parameter));
  const save: Tile[] = [];
  const copy: Tile[] = [];
  let scratchBytes = 0;
  copies.forEach(({ value }, i) => {
    const { shape } = valueAt(graph, value);
    const [tiles = []] = planElementwise(target, { shape, links: [] }).steps;
    const from: BufferPlace = { buffer: `input${i}`, offset: 0 };
    const to: BufferPlace = { buffer: i === 0 ? 'output' : `output${i}`, offset: 0 };
    const between: BufferPlace = { buffer: 'scratch', offset: scratchBytes };
    const saved = overwritten.has(value);
    if (saved) {
      save.push(...renameTiles(tiles, { input0: from, output: between }));
      scratchBytes = alignUp(scratchBytes + elementCount(shape) * 4, 64);
    }
    copy.push(...renameTiles(tiles, { input0: saved ? between : from, output: to }));
  });
  return {
    name: 'updates',
    ops: 'update',
    inputs: copies.map(({ value }) => value),
    outputs: copies.map(({ parameter }) => parameter),
    plan: { constants: [], scratchBytes, steps: [save, copy].filter(({ length }) => length > 0), flops: 0 },
    inPlace: [],
  };
}
