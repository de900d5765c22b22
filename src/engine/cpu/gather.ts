import type { ValueId } from '../../graph/graph.ts';
import type { BufferName, BufferPlace, Constant, Tile } from '../../kernel/plan/plan.ts';
import { type BufferPlaces, renameTiles } from '../../kernel/plan/rename-buffers.ts';
import { alignUp } from './arena.ts';
import type { Task } from './program.ts';

/** Tiles up to which a task leaves threads idle, or costs little more than being handed out. */
const FEW_TILES = 4;

/**
 * Neighbouring small tasks that do not need each other become one: its tiles run side by side, where each task of
 * its own would make all threads wait for a tile or two. A step of training has thousands, most of them updates of
 * vectors.
 * @param renewed the parameters that take a value
 */
export function gatherSmall(
  tasks: readonly Task[],
  renewed: (value: ValueId) => readonly ValueId[],
): readonly Task[] {
  const gathered: Task[] = [];
  let group: Task[] = [];
  const written = new Set<ValueId>();
  const read = new Set<ValueId>();
  const close = (): void => {
    const [first, ...others] = group;
    if (first !== undefined) gathered.push(joined([first, ...others]));
    group = [];
    written.clear();
    read.clear();
  };
  for (const task of tasks) {
    const changed = task.outputs.flatMap((value) => [value, ...renewed(value)]);
    if (task.inputs.some((value) => written.has(value)) || changed.some((value) => read.has(value))) close();
    if (!isSmall(task)) {
      close();
      gathered.push(task);
      continue;
    }
    group.push(task);
    for (const value of task.inputs) read.add(value);
    for (const value of changed) written.add(value);
  }
  close();
  return gathered;
}

function isSmall({ plan }: Task): boolean {
  const [step, ...more] = plan.steps;
  return step !== undefined && more.length === 0 && step.length <= FEW_TILES;
}

/** Where buffers of one of several tasks lie in the task that they become. */
interface Moved {
  readonly inputs: number;
  readonly outputs: number;
  readonly constants: number;
  readonly scratchBytes: number;
}

function joined(group: readonly [Task, ...Task[]]): Task {
  const [first, ...others] = group;
  if (others.length === 0) return first;
  const readers = new Map<ValueId, number>();
  for (const task of group)
    for (const value of new Set(task.inputs)) readers.set(value, (readers.get(value) ?? 0) + 1);
  const inputs: ValueId[] = [];
  const outputs: ValueId[] = [];
  const inPlace: (readonly number[])[] = [];
  const constants: Constant[] = [];
  const tiles: Tile[] = [];
  let [scratchBytes, flops] = [0, 0];
  for (const task of group) {
    const from: Moved = {
      inputs: inputs.length,
      outputs: outputs.length,
      constants: constants.length,
      scratchBytes,
    };
    const places = placesOf(task, from);
    for (const step of task.plan.steps) tiles.push(...renameTiles(step, places));
    // What another task reads at the same time must stay.
    const alone = task.inputs.map((value) => readers.get(value) === 1);
    for (const [o] of task.outputs.entries())
      inPlace.push((task.inPlace[o] ?? []).filter((i) => alone[i]).map((i) => from.inputs + i));
    inputs.push(...task.inputs);
    outputs.push(...task.outputs);
    constants.push(...task.plan.constants);
    scratchBytes = alignUp(scratchBytes + task.plan.scratchBytes, 64);
    flops += task.plan.flops;
  }
  const name = `${first.name} and ${others.length} more`;
  const ops = opsOf(group);
  return { name, ops, inputs, outputs, inPlace, plan: { constants, scratchBytes, steps: [tiles], flops } };
}

function placesOf(task: Task, from: Moved): BufferPlaces {
  const places: Partial<Record<BufferName, BufferPlace>> = {
    scratch: { buffer: 'scratch', offset: from.scratchBytes },
  };
  const outputName = (i: number): BufferName => (i === 0 ? 'output' : `output${i}`);
  for (const [i] of task.inputs.entries())
    places[`input${i}`] = { buffer: `input${from.inputs + i}`, offset: 0 };
  for (const [i] of task.outputs.entries())
    places[outputName(i)] = { buffer: outputName(from.outputs + i), offset: 0 };
  for (const [i] of task.plan.constants.entries())
    places[`constant${i}`] = { buffer: `constant${from.constants + i}`, offset: 0 };
  return places;
}

/** E.g. `300 sgd, 12 lerp`. */
function opsOf(group: readonly Task[]): string {
  const counts = new Map<string, number>();
  for (const { ops } of group) counts.set(ops, (counts.get(ops) ?? 0) + 1);
  return [...counts].map(([ops, count]) => `${count} ${ops}`).join(', ');
}
