import type { OpCase } from './op-case.ts';
import { trainingConvolutionCases } from './training-convolution.ts';
import { trainingLossCases } from './training-loss.ts';
import { trainingMergeCases } from './training-merge.ts';
import { trainingNormCases } from './training-norm.ts';
import { trainingSpatialCases } from './training-spatial.ts';
import { trainingUpdateCases } from './training-update.ts';

/** Every op of training, as `opCases` has those of nets. */
export const trainingCases: readonly OpCase[] = [
  ...trainingConvolutionCases,
  ...trainingMergeCases,
  ...trainingNormCases,
  ...trainingLossCases,
  ...trainingSpatialCases,
  ...trainingUpdateCases,
];
