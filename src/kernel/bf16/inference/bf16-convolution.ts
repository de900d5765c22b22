/** Convolutions where factors of matrix products are bf16: which kernel computes which. */
import type { VectorTarget } from '../../../assembler/vector-assembler.ts';
import { EngineError } from '../../../errors.ts';
import { type AnyConvTask, type ConvTask, convSizes, isComputed } from '../../convolution/convolution-row.ts';
import { planConvolution } from '../../convolution/convolution-task.ts';
import { isDepthwise, planDepthwise } from '../../convolution/depthwise/depthwise.ts';
import type { TaskPlan } from '../../plan/plan.ts';
import type { PixelStorage } from '../../vector/storage.ts';
import { bf16Rows } from './bf16-product.ts';
import { type Bf16Precision, type Bf16Row, productTerms } from './bf16-row.ts';

export { type Bf16Precision, productTerms } from './bf16-row.ts';

/** The row that a target takes; undefined where it has no bf16 products. */
export function bf16Row(target: VectorTarget): Bf16Row | undefined {
  return bf16Rows.find((row) => row.applies(target));
}

/** Whether a convolution is one matrix product, by weights that are known. */
export function isDense(task: AnyConvTask): task is ConvTask {
  return task.geometry.groups === 1 && !isComputed(task);
}

/** What the tensors of a convolution hold; a residual is f32. */
export interface ConvStorage {
  readonly input: PixelStorage;
  readonly output: PixelStorage;
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
