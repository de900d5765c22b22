import type { VectorTarget } from '../../assembler/vector-assembler.ts';
import { EngineError } from '../../errors.ts';
import { type CheckedGraph, type ValueId, valueAt } from '../../graph/graph.ts';
import { planElementwise } from '../../kernel/elementwise/elementwise.ts';
import type { BufferPlace, TaskPlan, Tile } from '../../kernel/plan/plan.ts';
import { renameTiles } from '../../kernel/plan/rename-buffers.ts';
import { elementCount } from '../../tensor/tensor.ts';
import { alignUp } from './arena.ts';
import type { Task } from './program.ts';

export interface Updates {
  /** Values that are written where the parameter lies that they renew. */
  readonly homes: ReadonlyMap<ValueId, ValueId>;
  /** All tasks, with copies at the end of each part and the gate between parts. */
  readonly tasks: readonly Task[];
}

/**
 * How parameters come to hold their new values: a value is written into the parameter's memory by the task that
 * computes it, where nothing needs the old one any more; else it is copied there at the end of the part.
 * @param parts tasks before and behind the graph's gate, or all
 * @throws EngineError where a parameter is renewed before the gate and its old value is needed behind it
 */
export function planUpdates(
  graph: CheckedGraph,
  parts: readonly (readonly Task[])[],
  storage: (value: ValueId) => ValueId,
  target: VectorTarget,
): Updates {
  const { gate } = graph;
  const homes = new Map<ValueId, ValueId>();
  const copied = parts.map((): Copy[] => []);
  const mayMove = movable(graph, parts.flat(), storage);
  const early = new Set(graph.nodes.slice(0, gate?.at ?? 0).flatMap(({ outputs }) => outputs));
  const writtenEarly = new Set(parts[0]?.flatMap(({ outputs }) => outputs));
  const readLate = new Set(parts.slice(1).flatMap((tasks) => tasks.flatMap(({ inputs }) => inputs)));
  for (const { parameter, value: made } of graph.updates) {
    const value = storage(made);
    if (value === parameter) continue;
    const part = gate === undefined || early.has(made) ? 0 : 1;
    if (part === 0 && readLate.has(parameter))
      throw new EngineError(
        `engine cpu: graph "${graph.name}": "${valueAt(graph, parameter).name}" is renewed before the gate and read behind it.`,
      );
    const written = gate === undefined || writtenEarly.has(value) ? 0 : 1;
    if (written === part && !homes.has(value) && mayMove(parameter, value)) homes.set(value, parameter);
    else copied[part]?.push({ parameter, value });
  }
  const tasks = parts.flatMap((part, i) => {
    const copies = copied[i] ?? [];
    const whole = copies.length === 0 ? part : [...part, copyTask(graph, copies, target)];
    return gate !== undefined && i === 0 ? [...whole, gateTask(gate.open)] : whole;
  });
  return { homes, tasks };
}

/** Ends the run where the gate is not open. */
function gateTask(open: ValueId): Task {
  const host: TaskPlan['host'] = ([flag]) => (flag?.[0] === 0 ? 'end' : undefined);
  const plan: TaskPlan = { constants: [], scratchBytes: 0, steps: [], flops: 0, host };
  return { name: 'gate', ops: 'gate', inputs: [open], outputs: [], plan, inPlace: [] };
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

interface Copy {
  readonly parameter: ValueId;
  readonly value: ValueId;
}

/** Old values that other parameters take are saved first. */
function copyTask(graph: CheckedGraph, copies: readonly Copy[], target: VectorTarget): Task {
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
