/** Convolutions on bf16 memory: which kernel computes which. */
import type { VectorTarget } from '../assembler/vector-assembler.ts';
import type { Bf16Row, ConvStorage } from './bf16-row.ts';
import { tilesRow } from './bf16-tiles.ts';
import { type ConvTask, convSizes } from './convolution-row.ts';
import { isDepthwise, planDepthwise } from './depthwise.ts';
import type { TaskPlan } from './plan.ts';

/** f32 registers on bf16 memory. */
const depthwiseRow: Bf16Row = {
  name: 'bf16-depthwise',
  computes: 'one input and one output channel a group',
  applies: (_, task) => isDepthwise(task),
  plan: (target, task, storage) => planDepthwise(target, task, undefined, storage),
};

/** In the order of preference. */
export const bf16Rows: readonly Bf16Row[] = [depthwiseRow, tilesRow];

/** The row that `planBf16Convolution` takes; undefined where only f32 memory will do. */
export function bf16Row(target: VectorTarget, task: ConvTask): Bf16Row | undefined {
  return bf16Rows.find((row) => row.applies(target, task));
}

/**
 * Buffers as for `planConvolution`, with the storage said.
 * @returns undefined where no row applies
 * @throws ShapeError when the task's parts do not fit together
 */
export function planBf16Convolution(
  target: VectorTarget,
  task: ConvTask,
  storage: ConvStorage,
): TaskPlan | undefined {
  convSizes(task);
  return bf16Row(target, task)?.plan(target, task, storage);
}
