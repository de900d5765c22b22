import type { VectorTarget } from '../assembler/vector-assembler.ts';
import type { ConvTask } from './convolution-row.ts';
import type { TaskPlan } from './plan.ts';
import type { StorageType } from './storage.ts';

/** What the tensors of a convolution hold in memory; a residual is stored as the output is. */
export interface ConvStorage {
  readonly input: StorageType;
  readonly output: StorageType;
}

/** One way to compute convolutions on bf16 memory with f32 sums. */
export interface Bf16Row {
  readonly name: string;
  /** In a few words, for people. */
  readonly computes: string;
  readonly applies: (target: VectorTarget, task: ConvTask) => boolean;
  readonly plan: (target: VectorTarget, task: ConvTask, storage: ConvStorage) => TaskPlan;
}
