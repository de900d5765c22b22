export interface Timing {
  readonly count: number;
  readonly median: number;
  readonly p10: number;
  readonly p90: number;
}

/** Beyond this the machine was busy with something else, and the row says so. */
const noisyRatio = 1.3;

export function timingOf(milliseconds: readonly number[]): Timing {
  const sorted = [...milliseconds].sort((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
  const middle = sorted.length / 2;
  const median =
    ((sorted[Math.ceil(middle) - 1] ?? Number.NaN) + (sorted[Math.floor(middle)] ?? Number.NaN)) / 2;
  return { count: sorted.length, median, p10: at(0.1), p90: at(0.9) };
}

export const isNoisy = ({ p10, p90 }: Timing): boolean => p90 / p10 > noisyRatio;
