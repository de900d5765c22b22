import type { VectorTarget } from '../../assembler/vector-assembler.ts';
import type { TaskPlan } from '../plan/plan.ts';
import type { RoundedGradients } from './conv-gradient-row.ts';
import type { ComputedConvTask } from './convolution-row.ts';

/** All that rounds factors to bf16 on their way into products of what a run computes. */
export interface RoundedProducts extends RoundedGradients {
  readonly applies: (target: VectorTarget) => boolean;
  /** Undefined where it does not pay. */
  readonly convolution: (target: VectorTarget, task: ComputedConvTask) => TaskPlan | undefined;
}
