import type { VectorTarget } from '../../assembler/vector-assembler.ts';
import type { TaskPlan } from './plan.ts';

/**
 * One way to compute tasks of a kind: dispatch takes the first row that applies; tests and benchmarks read all.
 * @template Shape what decides whether it applies
 */
export interface KernelRow<Task, Shape = Task> {
  readonly name: string;
  readonly applies: (task: Shape) => boolean;
  readonly plan: (target: VectorTarget, task: Task) => TaskPlan;
}
