/** Milliseconds of many runs of the same thing. */
export interface Timing {
  readonly runs: number;
  readonly median: number;
  readonly p10: number;
  readonly p90: number;
  readonly min: number;
}

export function timingOf(milliseconds: readonly number[]): Timing {
  const sorted = [...milliseconds].sort((a, b) => a - b);
  return {
    runs: sorted.length,
    median: quantile(sorted, 0.5),
    p10: quantile(sorted, 0.1),
    p90: quantile(sorted, 0.9),
    min: sorted[0] ?? Number.NaN,
  };
}

/** Beyond this the machine was busy with something else. */
const busyRatio = 1.3;

/** Whether times spread more than they do on a machine that does nothing else. */
export const isBusy = ({ p10, p90 }: Timing): boolean => p90 > busyRatio * p10;

/** Between the two nearest values, in proportion; NaN of nothing. @param sorted ascending */
export function quantile(sorted: readonly number[], share: number): number {
  const place = share * (sorted.length - 1);
  const low = sorted[Math.floor(place)] ?? Number.NaN;
  const high = sorted[Math.ceil(place)] ?? Number.NaN;
  return low + (high - low) * (place - Math.floor(place));
}

/** One run of something, timed. */
export async function timeRun(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

/** Lets timers, messages and signals through: runs that never wait would hold them all up. */
export const pause = (milliseconds = 0): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
