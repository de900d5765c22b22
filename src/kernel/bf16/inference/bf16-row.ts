import type { VectorTarget } from '../../../assembler/vector-assembler.ts';
import type { AnyConvTask, ConvTask } from '../../convolution/convolution-row.ts';
import type { TaskPlan } from '../../plan/plan.ts';
import type { PixelStorage, Terms } from '../../vector/storage.ts';

/**
 * How a dense convolution is computed from bf16 products with f32 sums. A residual is stored as the output is,
 * which must not be in two terms then.
 */
export interface Bf16Conv {
  readonly input: PixelStorage;
  readonly output: PixelStorage;
  readonly terms: ProductTerms;
}

/** Of how many bf16 terms the two factors of each product are made. */
export interface ProductTerms {
  readonly input: Terms['terms'];
  readonly weights: Terms['terms'];
}

export type Bf16Precision = 'bf16' | 'bf16x2';

const FEW_INPUTS = 64;
const MANY_INPUTS = 512;

/**
 * bf16: one term each. bf16x2: rounding errors of early layers grow on their way through the net, those of late
 * ones fade; and early layers, which have few channels, cost little. So both factors of short sums get two terms,
 * weights of longer ones too, and those of long ones a single one.
 */
export function productTerms(precision: Bf16Precision, task: ConvTask): ProductTerms {
  if (precision === 'bf16') return { input: 1, weights: 1 };
  const [, ...window] = task.weight.shape;
  const length = window.reduce((product, size) => product * size, 1);
  return { input: length < FEW_INPUTS ? 2 : 1, weights: length < MANY_INPUTS ? 2 : 1 };
}

/** One way to compute dense convolutions from bf16 products. */
export interface Bf16Row {
  readonly name: string;
  readonly applies: (target: VectorTarget) => boolean;
  /** The input is in `terms.input` terms, or f32. */
  readonly plan: (task: ConvTask, how: Bf16Conv) => TaskPlan;
}

/** What the tensors of a convolution hold; a residual is f32. */
export interface ConvStorage {
  readonly input: PixelStorage;
  readonly output: PixelStorage;
}

/** All convolutions of precisions below f32, handed to engines where processors have them. */
export interface Bf16Convolutions {
  readonly applies: (target: VectorTarget) => boolean;
  readonly plan: (
    target: VectorTarget,
    task: AnyConvTask,
    storage: ConvStorage,
    precision: Bf16Precision,
  ) => TaskPlan;
}
