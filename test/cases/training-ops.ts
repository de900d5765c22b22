import type { OpCase } from './op-case.ts';
import { trainingConvolutionCases } from './training-convolution.ts';

/** Every op of training, as `opCases` has those of nets. */
export const trainingCases: readonly OpCase[] = [...trainingConvolutionCases];
