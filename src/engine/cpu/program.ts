import type { ValueId } from '../../graph/graph.ts';
import type { TaskPlan } from '../../kernel/plan/plan.ts';
import type { PixelStorage } from '../../kernel/vector/storage.ts';
import type { Tensor } from '../../tensor/tensor.ts';

/** A piece of work between tensors: one op with what was fused into it. Values are those `Program.storage` names. */
export interface Task {
  /** Its last node's. */
  readonly name: string;
  readonly ops: string;
  readonly inputs: readonly ValueId[];
  readonly outputs: readonly ValueId[];
  readonly plan: TaskPlan;
  /** For each output, which inputs it may overwrite, if nothing needs them afterwards. */
  readonly inPlace: readonly (readonly number[])[];
}

export interface Program {
  /** In running order. */
  readonly tasks: readonly Task[];
  /** The value whose memory a value shares: itself, or what it is another view of. */
  readonly storage: (value: ValueId) => ValueId;
  /** What a value's memory holds. */
  readonly typeOf: (value: ValueId) => PixelStorage;
  /** Values that are written where an updated parameter lies. */
  readonly homes: ReadonlyMap<ValueId, ValueId>;
  /** Results that never change; they are part of the image as parameters are. */
  readonly known: ReadonlyMap<ValueId, Tensor>;
}
