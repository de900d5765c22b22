import type { VectorTarget } from '../../assembler/vector-assembler.ts';
import type { TaskPlan } from '../plan/plan.ts';
import {
  type ConvGradientTask,
  convGradientSizes,
  type InputGradRow,
  type InputGradTask,
  type WeightGradRow,
} from './conv-gradient-row.ts';
import { denseInputGradRow, denseWeightGradRow } from './dense-gradients.ts';
import { depthwiseInputGradRow } from './depthwise/depthwise-input-grad.ts';
import { depthwiseWeightGradRow } from './depthwise/depthwise-weight-grad.ts';

export type { ConvGradientTask, InputGradTask, InputGradTerm } from './conv-gradient-row.ts';

/** In the order of preference; the last applies to every convolution. */
export const inputGradRows: readonly InputGradRow[] = [depthwiseInputGradRow, denseInputGradRow];
export const weightGradRows: readonly WeightGradRow[] = [depthwiseWeightGradRow, denseWeightGradRow];

function inputGradRow(task: InputGradTask): InputGradRow | undefined {
  const rows = task.rounded ? [task.rounded.inputGrad, ...inputGradRows] : inputGradRows;
  return rows.find((row) => row.applies(task));
}

/** Whether one task can compute all of it. */
export function canPlanInputGrad(task: InputGradTask): boolean {
  return inputGradRow(task) !== undefined;
}

/**
 * Buffers: `input0` dy, `input1` the weight, those of further terms, the residual; `output` dx.
 * @throws ShapeError when the task's parts do not fit together
 */
export function planInputGrad(target: VectorTarget, task: InputGradTask): TaskPlan {
  convGradientSizes(task);
  return (inputGradRow(task) ?? denseInputGradRow).plan(target, task);
}

/**
 * Buffers: `input0` x, `input1` dy, `output` the gradient of the weight. The same for any number of threads.
 * @throws ShapeError when the task's parts do not fit together
 */
export function planWeightGrad(target: VectorTarget, task: ConvGradientTask): TaskPlan {
  convGradientSizes(task);
  return (weightGradRows.find((row) => row.applies(task)) ?? denseWeightGradRow).plan(target, task);
}
