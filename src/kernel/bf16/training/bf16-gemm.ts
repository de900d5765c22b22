/**
 * Matrix products of tensors in f32 whose factors are rounded to bf16 on their way into the second cache; sums and
 * results are f32. Tensors stay as they are, so that nothing but products changes while a net trains: what is lost
 * against tensors in bf16 is their traffic, which measures less than what the products take in f32.
 */
import type { VectorTarget } from '../../../assembler/vector-assembler.ts';
import { type GemmRow, type GemmTask, gemmLayout } from '../../product/gemm-task.ts';
import { planBf16Rows } from './bf16-rows.ts';
import { planBf16Sums } from './bf16-sums.ts';

/** Smaller products gain nothing. */
const LEAST_FLOPS = 2 ** 20;
const LEAST_SIZE = 16;
/** Of short sums more time goes into packing both factors than into multiplying them. */
const LEAST_SUM = 128;

export function hasBf16Products(target: VectorTarget): boolean {
  return target.features.has('bf16Dot');
}

export function paysInBf16({ m, n, k }: Pick<GemmTask, 'm' | 'n' | 'k'>): boolean {
  return Math.min(m, n, k) >= LEAST_SIZE && 2 * m * n * k >= LEAST_FLOPS;
}

/** The same of Aᵀ·B. */
export function sumsPayInBf16(sizes: Pick<GemmTask, 'm' | 'n' | 'k'>): boolean {
  return paysInBf16(sizes) && sizes.k >= LEAST_SUM;
}

/** A·B, A·Bᵀ: rows of A are rounded block by block, B before. */
const rowsRow: GemmRow = {
  name: 'bf16 rows',
  can: ({ transposeA }) => !transposeA,
  pays: paysInBf16,
  plan: (target, task) =>
    planBf16Rows(target, {
      ...task,
      ...gemmLayout(task),
      residual: task.accumulate ? { buffer: 'output', offset: 0 } : undefined,
      activation: null,
      past: task.past === true,
    }),
};

/** Aᵀ·B: long sums, whose factors are rounded chunk by chunk. */
const sumsRow: GemmRow = {
  name: 'bf16 sums',
  can: ({ transposeA, transposeB }) => transposeA && !transposeB,
  pays: sumsPayInBf16,
  plan: (target, task) => {
    const { aStep, bRow, cRow } = gemmLayout(task);
    return planBf16Sums(target, { ...task, aRow: aStep, bRow, cRow });
  },
};

/** For targets that have bf16 products. */
export const bf16GemmRows: readonly GemmRow[] = [rowsRow, sumsRow];
