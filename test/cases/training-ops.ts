import type { OpCase } from './op-case.ts';
import { trainingConvolutionCases } from './training-convolution.ts';
import { trainingMergeCases } from './training-merge.ts';

/** Every op of training, as `opCases` has those of nets. */
export const trainingCases: readonly OpCase[] = [...trainingConvolutionCases, ...trainingMergeCases];
