/** dx of depthwise convolutions: each input gathers the outputs whose windows it lies in, nothing is scattered. */
import type { VectorTarget } from '../../../assembler/vector-assembler.ts';
import type { TaskPlan, Tile } from '../../plan/plan.ts';
import { gradientReaches } from '../../plan/reach.ts';
import {
  convGradientSizes,
  type InputGradRow,
  type InputGradTask,
  isDepthwiseGradient,
  residualOf,
  termsOf,
} from '../conv-gradient-row.ts';
import { centreOf } from './depthwise-spec.ts';
import { type DepthwiseOperand, depthwiseTaskTiles } from './depthwise-tiles.ts';
import { packCentreTiles, packDepthwiseTiles, packedDepthwiseBytes } from './depthwise-weights.ts';

function planDepthwiseInputGrad(target: VectorTarget, task: InputGradTask): TaskPlan {
  const { images, inChannels, outHeight, outWidth, taps, vertical, horizontal, macs } =
    convGradientSizes(task);
  const { kernel } = task.geometry;
  const packed = { channels: inChannels, taps, lanes: target.lanes };
  const bytes = packedDepthwiseBytes(packed);
  const terms = termsOf(task);
  const packs = terms.flatMap((term, i): readonly Tile[] => {
    const size = term === 'window' ? kernel : [1, 1];
    const weight = { shape: [inChannels, 1, ...size], buffer: `input${2 * i + 1}` } as const;
    return term === 'window'
      ? packDepthwiseTiles(packed, weight, undefined, i * bytes)
      : packCentreTiles(packed, centreOf(kernel), weight, i * bytes);
  });
  const operands = terms.map(
    (taps, i): DepthwiseOperand => ({
      taps,
      input: { buffer: `input${2 * i}`, offset: 0 },
      weights: { buffer: 'scratch', offset: i * bytes },
    }),
  );
  const tiles = depthwiseTaskTiles(target, {
    images,
    channels: inChannels,
    kernel,
    input: [outHeight, outWidth],
    rows: gradientReaches(vertical),
    columns: gradientReaches(horizontal),
    terms: operands,
    residual: residualOf(task),
    activation: null,
    storage: 'f32',
    macs: macs * terms.length,
  });
  const windows = terms.filter((term) => term === 'window').length;
  const flops = 2 * macs * (windows + (terms.length - windows) / taps);
  return { constants: [], scratchBytes: terms.length * bytes, steps: [packs, tiles], flops };
}

/** One input and one output channel a group, of several convolutions. */
export const depthwiseInputGradRow: InputGradRow = {
  name: 'depthwise',
  // Biases, which are zeros, come with a window's weights.
  applies: (task) =>
    isDepthwiseGradient(task) && termsOf(task)[0] === 'window' && task.derivative === undefined,
  plan: planDepthwiseInputGrad,
};
