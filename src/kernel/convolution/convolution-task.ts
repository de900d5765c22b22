import type { VectorTarget } from '../../assembler/vector-assembler.ts';
import type { TaskPlan } from '../plan/plan.ts';
import { type AnyConvTask, type ConvRow, type ConvShape, convSizes } from './convolution-row.ts';
import { depthwiseRow } from './depthwise/depthwise.ts';
import { directRow } from './direct.ts';
import { planPointwise, pointwiseRow, pointwiseTile } from './pointwise.ts';

export type { AnyConvTask, ComputedConvTask, ConvTask } from './convolution-row.ts';

/** In the order of preference; the last applies to every convolution. */
export const convolutionRows: readonly ConvRow[] = [depthwiseRow, pointwiseRow, directRow];

/** The row that `planConvolution` takes. */
export function convolutionRow(task: ConvShape): ConvRow {
  return convolutionRows.find((row) => row.applies(task)) ?? directRow;
}

/**
 * Buffers: `input0` the picture, `input1` the residual if there is one, `output`.
 * A linear layer is the 1×1 convolution of an input [N, 1, 1, C]. Computed weights lie in the buffers they name.
 * @throws ShapeError when the task's parts do not fit together
 */
export function planConvolution(target: VectorTarget, task: AnyConvTask): TaskPlan {
  convSizes(task);
  return convolutionRow(task).plan(target, task);
}

/** Plans some rows of a convolution at a time, with the packed weights of the whole. */
export function rowsPlanner(target: VectorTarget, whole: AnyConvTask): (rows: AnyConvTask) => TaskPlan {
  const tile = convolutionRow(whole) === pointwiseRow ? pointwiseTile(target, whole) : undefined;
  return (rows) => (tile ? planPointwise(target, rows, tile) : planConvolution(target, rows));
}
