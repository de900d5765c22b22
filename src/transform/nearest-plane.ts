/**
 * Rounding a row of weights to bf16 so that what it gives changes least: one weight after the other, each to the nearest
 * number that also makes up for what the ones before it did. With d what rounding adds to the weights and C the
 * covariance of the inputs, the mean square of the change is dᵀCd; with C = A Aᵀ, A upper triangular, it is
 *   Σ_j A_jj² (d_j + Σ_{k<j} d_k A_kj / A_jj)²
 * whose terms from j on can all still be made small when d_j is chosen. This is GPTQ (arXiv:2210.17323) after OBQ
 * (arXiv:2208.11580) without its inverses, as Babai's nearest plane (arXiv:2507.18553). Its order by variances gains
 * nothing here: bf16's steps are in proportion to the weights.
 */
import { bfloat16ToNumber, numberToBfloat16 } from '../tensor/half.ts';

/**
 * Writes the rounded row.
 * @returns the mean square of the change; 0 where nothing is known of the inputs
 */
export type RoundRow = (row: ArrayLike<number>, rounded: Float64Array) => number;

/** Of the mean variance, added to each: inputs that hardly vary together would let errors grow where pictures differ. */
const DAMPING = 1e-3;

const nearest = (value: number): number => bfloat16ToNumber(numberToBfloat16(value));

/** Every weight on its own. */
export const roundEach: RoundRow = (row, rounded) => {
  for (let i = 0; i < rounded.length; i++) rounded[i] = nearest(row[i] ?? 0);
  return 0;
};

/** @param covariance of the inputs, row-major, positive semi-definite */
export function nearestPlane(covariance: Float64Array): RoundRow {
  const size = Math.sqrt(covariance.length);
  const { pivots, couplings } = factors(covariance, size);
  const errors = new Float64Array(size);
  return (row, rounded) => {
    let square = 0;
    for (let j = 0; j < size; j++) {
      const carried = dot(couplings, j * size, errors, 0, j);
      const exact = row[j] ?? 0;
      const value = nearest(exact - carried);
      const error = value - exact;
      rounded[j] = value;
      errors[j] = error;
      square += (pivots[j] ?? 0) * (error + carried) ** 2;
    }
    return square;
  };
}

/** A_jj², and row by row A_kj / A_jj for k < j. */
function factors(covariance: Float64Array, size: number): { pivots: Float64Array; couplings: Float64Array } {
  let trace = 0;
  for (let i = 0; i < size; i++) trace += covariance[i * size + i] ?? 0;
  const least = Math.max((DAMPING * trace) / size, Number.MIN_VALUE);
  /** Upper triangle, row-major. */
  const a = new Float64Array(size * size);
  for (let j = size - 1; j >= 0; j--) {
    const known = (i: number): number => dot(a, i * size + j + 1, a, j * size + j + 1, size - j - 1);
    const pivot = (covariance[j * size + j] ?? 0) + least - known(j);
    // Never below what was added, but for rounding.
    const root = Math.sqrt(Math.max(pivot, least / 2));
    a[j * size + j] = root;
    for (let i = 0; i < j; i++) a[i * size + j] = ((covariance[i * size + j] ?? 0) - known(i)) / root;
  }
  const pivots = Float64Array.from({ length: size }, (_, j) => (a[j * size + j] ?? 0) ** 2);
  const couplings = new Float64Array(size * size);
  for (let j = 0; j < size; j++)
    for (let k = 0; k < j; k++) couplings[j * size + k] = (a[k * size + j] ?? 0) / (a[j * size + j] ?? 1);
  return { pivots, couplings };
}

/** Σ x[xAt + k] y[yAt + k] for k < count; four sums, so that an addition does not wait for the one before. */
function dot(x: Float64Array, xAt: number, y: Float64Array, yAt: number, count: number): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  let k = 0;
  for (; k + 3 < count; k += 4) {
    a += (x[xAt + k] ?? 0) * (y[yAt + k] ?? 0);
    b += (x[xAt + k + 1] ?? 0) * (y[yAt + k + 1] ?? 0);
    c += (x[xAt + k + 2] ?? 0) * (y[yAt + k + 2] ?? 0);
    d += (x[xAt + k + 3] ?? 0) * (y[yAt + k + 3] ?? 0);
  }
  for (; k < count; k++) a += (x[xAt + k] ?? 0) * (y[yAt + k] ?? 0);
  return a + b + c + d;
}
