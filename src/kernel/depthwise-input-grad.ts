/** dx of a depthwise convolution: each input gathers the outputs whose windows it lies in, nothing is scattered. */
import type { VectorTarget } from '../assembler/vector-assembler.ts';
import {
  type ConvGradientRow,
  type ConvGradientTask,
  convGradientSizes,
  isDepthwiseGradient,
} from './conv-gradient-row.ts';
import { depthwiseTaskTiles } from './depthwise-tiles.ts';
import { packDepthwiseTiles, packedDepthwiseBytes } from './depthwise-weights.ts';
import type { TaskPlan } from './plan.ts';
import { gradientReaches } from './reach.ts';

export function planDepthwiseInputGrad(target: VectorTarget, task: ConvGradientTask): TaskPlan {
  const { images, inChannels, outHeight, outWidth, taps, vertical, horizontal, macs } =
    convGradientSizes(task);
  const packed = { channels: inChannels, taps, lanes: target.lanes };
  const weight = { shape: [inChannels, 1, ...task.geometry.kernel], buffer: 'input1' } as const;
  const tiles = depthwiseTaskTiles(target, {
    images,
    channels: inChannels,
    kernel: task.geometry.kernel,
    input: [outHeight, outWidth],
    rows: gradientReaches(vertical),
    columns: gradientReaches(horizontal),
    weights: { buffer: 'scratch', offset: 0 },
    residual: undefined,
    activation: null,
    storage: 'f32',
    macs,
  });
  return {
    constants: [],
    scratchBytes: packedDepthwiseBytes(packed),
    steps: [packDepthwiseTiles(packed, weight), tiles],
    flops: 2 * macs,
  };
}

export const depthwiseInputGradRow: ConvGradientRow = {
  name: 'depthwise',
  computes: 'one input and one output channel a group',
  applies: isDepthwiseGradient,
  plan: planDepthwiseInputGrad,
};
