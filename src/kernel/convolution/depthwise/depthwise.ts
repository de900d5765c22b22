/** Depthwise convolution: one input and one output channel a group, channels in the vector lanes. */
import type { VectorTarget } from '../../../assembler/vector-assembler.ts';
import type { TaskPlan } from '../../plan/plan.ts';
import { windowReaches } from '../../plan/reach.ts';
import { windowAxis } from '../../plan/window-blocks.ts';
import type { PixelStorage } from '../../vector/storage.ts';
import { type AnyConvTask, type ConvRow, type ConvShape, convSizes, isComputed } from '../convolution-row.ts';
import type { DepthwiseTile } from './depthwise-spec.ts';
import { depthwiseTaskTiles } from './depthwise-tiles.ts';
import { packDepthwise, packDepthwiseTiles, packedDepthwiseBytes } from './depthwise-weights.ts';

export function isDepthwise(task: ConvShape): boolean {
  const { outChannels, inChannels } = convSizes(task);
  return task.geometry.groups === inChannels && outChannels === inChannels;
}

/** @param output what the output holds; a residual asks for f32 */
export function planDepthwise(
  target: VectorTarget,
  task: AnyConvTask,
  tile?: DepthwiseTile,
  output: PixelStorage = 'f32',
): TaskPlan {
  const { images, height, width, inChannels, outHeight, outWidth, macs } = convSizes(task);
  const { kernel } = task.geometry;
  const tiles = depthwiseTaskTiles(
    target,
    {
      images,
      channels: inChannels,
      kernel,
      input: [height, width],
      rows: windowReaches(windowAxis(task.geometry, 0, height, outHeight)),
      columns: windowReaches(windowAxis(task.geometry, 1, width, outWidth)),
      terms: [
        {
          taps: 'window',
          input: { buffer: 'input0', offset: 0 },
          weights: { buffer: isComputed(task) ? 'scratch' : 'constant0', offset: 0 },
        },
      ],
      residual: task.residual ? { buffer: 'input1', offset: 0 } : undefined,
      activation: task.activation,
      storage: output,
      macs,
    },
    tile,
  );
  const flops = 2 * macs;
  const sizes = { channels: inChannels, taps: kernel[0] * kernel[1], lanes: target.lanes };
  if (!isComputed(task)) {
    const weights = packDepthwise(sizes, task.weight, task.bias);
    return { constants: [weights], scratchBytes: 0, steps: [tiles], flops };
  }
  const pack = packDepthwiseTiles(sizes, task.weight, task.bias);
  return { constants: [], scratchBytes: packedDepthwiseBytes(sizes), steps: [pack, tiles], flops };
}

/** One input and one output channel a group. */
export const depthwiseRow: ConvRow = {
  name: 'depthwise',
  applies: isDepthwise,
  plan: (target, task) => planDepthwise(target, task),
};
