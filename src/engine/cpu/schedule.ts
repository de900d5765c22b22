import { type CheckedGraph, type ValueId, valueAt } from '../../graph/graph.ts';
import { elementCount } from '../../tensor/tensor.ts';
import type { Task } from './program.ts';

/** Bytes of a parameter that is worth renewing early; smaller ones are renewed together at the end. */
const LARGE = 2 ** 16;

/**
 * Optimizer steps and running averages as early as they can run, instead of at the end: what they read (gradients,
 * which together are as large as the net) need not be kept until then, and is in a cache still. Moved are
 * element-wise tasks that lead to nothing but updates; each stays behind the tasks that read what it renews. Small
 * ones, of which there are very many, come last instead, where they can be gathered.
 */
export function updatesEarly(
  graph: CheckedGraph,
  tasks: readonly Task[],
  storage: (value: ValueId) => ValueId,
  renewed: (value: ValueId) => readonly ValueId[],
): readonly Task[] {
  const moving = movingTasks(graph, tasks, storage);
  /** After which of the tasks that stay a value is there, and was last read. */
  const written = new Map<ValueId, number>();
  const read = new Map<ValueId, number>();
  const note = ({ inputs, outputs }: Task, place: number): void => {
    for (const value of outputs) written.set(value, place);
    for (const value of inputs) read.set(value, Math.max(place, read.get(value) ?? -1));
  };
  tasks.forEach((task, index) => {
    if (!moving.has(task)) note(task, index);
  });
  const first: Task[] = [];
  const behind: Task[][] = tasks.map((task) => (moving.has(task) ? [] : [task]));
  const end = tasks.length;
  behind.push([]);
  for (const task of moving) {
    const parameters = task.outputs.flatMap(renewed);
    const isLarge = task.outputs.some((value) => elementCount(valueAt(graph, value).shape) * 4 >= LARGE);
    const place = Math.max(
      isLarge ? -1 : end,
      ...task.inputs.map((value) => written.get(value) ?? -1),
      ...parameters.map((value) => read.get(value) ?? -1),
    );
    note(task, place);
    (behind[place] ?? first).push(task);
  }
  return [...first, ...behind.flat()];
}

/** In running order. */
function movingTasks(
  graph: CheckedGraph,
  tasks: readonly Task[],
  storage: (value: ValueId) => ValueId,
): ReadonlySet<Task> {
  const kept = new Set(graph.outputs.map(({ value }) => storage(value)));
  const moving: Task[] = [];
  for (const task of tasks.toReversed()) {
    const elementwise = task.outputs.every((_, i) => (task.inPlace[i]?.length ?? 0) > 0);
    if (elementwise && !task.outputs.some((value) => kept.has(value))) moving.push(task);
    else for (const value of task.inputs) kept.add(value);
  }
  return new Set(moving.reverse());
}
