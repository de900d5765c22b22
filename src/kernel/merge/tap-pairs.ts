/** Where the sums of a depthwise kernel's taps lie: Σ d_t of all taps, then Σ d_t·d_u, u ≥ t. */

export const sumRows = (taps: number): number => taps + (taps * (taps + 1)) / 2;

/** Row of Σ d_t·d_u among the sums, t ≤ u. */
export function productRow(taps: number, t: number, u: number): number {
  return taps + t * taps - (t * (t - 1)) / 2 + (u - t);
}
