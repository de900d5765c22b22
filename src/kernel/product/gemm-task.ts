import type { VectorTarget } from '../../assembler/vector-assembler.ts';
import { ShapeError } from '../../errors.ts';
import type { TaskPlan } from '../plan/plan.ts';

/** Products whose factors are rounded to bf16 on their way; handed in, for pages have no use for them. */
export interface RoundedGemm {
  /** Undefined where rounding does not pay. */
  readonly gemm: (target: VectorTarget, task: GemmTask) => TaskPlan | undefined;
  /** Whether it pays for Aᵀ·B. */
  readonly paysForSums: (sizes: GemmSizes) => boolean;
}

export interface GemmSizes {
  /** Rows of C. */
  readonly m: number;
  /** Columns of C. */
  readonly n: number;
  /** Products that each number of C sums. */
  readonly k: number;
}

/**
 * C = op(A)·op(B), or C += op(A)·op(B). Buffers: `input0` A, `input1` B, `output` C, all f32 and row-major.
 * The plan's result is the same for any number of threads.
 */
export interface GemmTask extends GemmSizes {
  /** A is stored as [k, m] instead of [m, k]. */
  readonly transposeA: boolean;
  /** B is stored as [n, k] instead of [k, n]. */
  readonly transposeB: boolean;
  /** C holds numbers that the product is added to. */
  readonly accumulate: boolean;
  /** Nothing reads C soon: where it is large it is written past the caches. It begins at a multiple of 64 bytes. */
  readonly past?: boolean;
  /** How factors are rounded where that pays; absent for f32. */
  readonly rounded?: RoundedGemm | undefined;
  /** Numbers from one stored row to the next, where rows do not lie back to back. */
  readonly leading?: { readonly a?: number; readonly b?: number; readonly c?: number };
}

/** One way to compute matrix products: dispatch takes the first row that applies; tests and benchmarks read all. */
export interface GemmRow {
  readonly name: string;
  /** Can it compute this at all? */
  readonly can: (task: GemmTask) => boolean;
  /** Is it the way to go where it can? */
  readonly pays: (task: GemmTask) => boolean;
  readonly plan: (target: VectorTarget, task: GemmTask) => TaskPlan;
}

/** How operands lie, in bytes. */
export interface GemmLayout {
  /** Of A, from one row of C to the next, and from one product of a sum to the next. */
  readonly aRow: number;
  readonly aStep: number;
  /** From one stored row of B to the next. */
  readonly bRow: number;
  /** From one row of C to the next. */
  readonly cRow: number;
}

/** @throws ShapeError when a size is not positive, or a stored row is longer than the way to the next */
export function gemmLayout(task: GemmTask): GemmLayout {
  const { m, n, k, transposeA, transposeB } = task;
  const [a, b, c] = [transposeA ? m : k, transposeB ? k : n, n];
  const leading = { a, b, c, ...task.leading };
  const sizes = [m, n, k, leading.a, leading.b, leading.c];
  if (sizes.some((size) => !Number.isSafeInteger(size) || size < 1))
    throw new ShapeError(`gemm: sizes must be positive integers, found ${JSON.stringify(task)}.`, { task });
  if (leading.a < a || leading.b < b || leading.c < c)
    throw new ShapeError(
      `gemm: rows of A, B and C hold ${a}, ${b} and ${c} numbers, found ${leading.a}, ${leading.b} and ${leading.c} from one to the next.`,
      { task },
    );
  return {
    aRow: transposeA ? 4 : leading.a * 4,
    aStep: transposeA ? leading.a * 4 : 4,
    bRow: leading.b * 4,
    cRow: leading.c * 4,
  };
}
