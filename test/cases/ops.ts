import { convolutionCases } from './convolution-cases.ts';
import { elementCases } from './element-cases.ts';
import type { OpCase } from './op-case.ts';
import { windowCases } from './window-cases.ts';

/** Every op at sizes around likely vector and tile edges. Any check or benchmark of an op iterates this list. */
export const opCases: readonly OpCase[] = [...convolutionCases, ...windowCases, ...elementCases];
