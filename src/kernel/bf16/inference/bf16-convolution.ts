/** Convolutions where factors of matrix products are bf16: which kernel computes which. */
import type { VectorTarget } from '../../../assembler/vector-assembler.ts';
import { EngineError } from '../../../errors.ts';
import { type AnyConvTask, convSizes, isDense } from '../../convolution/convolution-row.ts';
import { planConvolution } from '../../convolution/convolution-task.ts';
import { isDepthwise, planDepthwise } from '../../convolution/depthwise/depthwise.ts';
import type { TaskPlan } from '../../plan/plan.ts';
import { bf16Rows } from './bf16-product.ts';
import {
  type Bf16Convolutions,
  type Bf16Precision,
  type Bf16Row,
  type ConvStorage,
  productTerms,
} from './bf16-row.ts';

export type { Bf16Precision, ConvStorage } from './bf16-row.ts';

/** The row that a target takes; undefined where it has no bf16 products. */
export function bf16Row(target: VectorTarget): Bf16Row | undefined {
  return bf16Rows.find((row) => row.applies(target));
}

/**
 * Buffers as for `planConvolution`. Depthwise convolutions compute in f32; their input is f32, and so is
 * everything of other convolutions that are not dense.
 * @throws ShapeError when the task's parts do not fit together; EngineError where the target has no bf16 products
 */
export function planBf16Convolution(
  target: VectorTarget,
  task: AnyConvTask,
  storage: ConvStorage,
  precision: Bf16Precision,
): TaskPlan {
  convSizes(task);
  if (isDepthwise(task)) return planDepthwise(target, task, undefined, storage.output);
  if (!isDense(task)) return planConvolution(target, task);
  const row = bf16Row(target);
  if (row === undefined)
    throw new EngineError(`bf16: target ${target.name} has no bf16 products here`, { target: target.name });
  return row.plan(task, { ...storage, terms: productTerms(precision, task) });
}

export const bf16Convolutions: Bf16Convolutions = {
  applies: (target) => bf16Row(target) !== undefined,
  plan: planBf16Convolution,
};
