import { I32 } from '../emitter.ts';
import type { FunctionType } from '../module.ts';

const takes = (count: number, ...results: FunctionType['results']): FunctionType => ({
  parameters: Array.from({ length: count }, () => I32),
  results,
});

/** Types of all functions in a module, by their numbers in `TYPE`. */
export const functionTypes: readonly FunctionType[] = [takes(1), takes(1, I32), takes(2), takes(3), takes(4)];

/** Kernels, functions of a control block that answer, and by how many integers a function takes. */
export const TYPE = { kernel: 0, answer: 1, two: 2, three: 3, four: 4 } as const;
