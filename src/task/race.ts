import { UsageError } from '../errors.ts';
import { pause, quantile, type Timing, timeRun, timingOf } from './timing.ts';

export interface RaceSchedule {
  /** Timed runs of each, at least; at least `leastTurns` turns are taken. */
  readonly runs?: number;
  /** Without `runs`: about how long each is timed, default 3. */
  readonly seconds?: number;
}

/** Two ways to do the same, timed in turns: A B A B … */
export interface Race {
  readonly a: Timing;
  readonly b: Timing;
  readonly turns: number;
  /** Median of a over median of b: below 1, a is faster. */
  readonly ratio: number;
  /** The same turn by turn, 10th and 90th percentile. */
  readonly ratioP10: number;
  readonly ratioP90: number;
  /** Whether the interval spans 1: which one is faster cannot be told. */
  readonly noise: boolean;
}

const turnMilliseconds = 40;
const mostRunsPerTurn = 10;
const leastTurns = 5;
/** Lets the threads of the one before fall asleep. */
const pauseMilliseconds = 15;

type Run = () => Promise<unknown>;

/**
 * Times two contestants in turns of about as long, each begun by an untimed run, so that whatever else the machine
 * does meets both alike. Both should be warm.
 * @throws UsageError for a schedule without time
 */
export async function race(a: Run, b: Run, schedule: RaceSchedule = {}): Promise<Race> {
  const { runs, seconds = 3 } = schedule;
  if (!((runs ?? seconds) > 0))
    throw new UsageError(`race: needs runs or seconds above 0, found ${runs ?? seconds}.`);
  const [perTurnA, perTurnB] = [await runsPerTurn(a), await runsPerTurn(b)];
  const [timesA, timesB]: [number[], number[]] = [[], []];
  const ratios: number[] = [];
  const spent = (times: readonly number[]): number => times.reduce((sum, ms) => sum + ms, 0) / 1000;
  const enough = (times: readonly number[]): boolean =>
    runs === undefined ? spent(times) >= seconds : times.length >= runs;
  while (ratios.length < leastTurns || !enough(timesA) || !enough(timesB)) {
    const turnA = await turn(a, perTurnA);
    const turnB = await turn(b, perTurnB);
    timesA.push(...turnA);
    timesB.push(...turnB);
    ratios.push(timingOf(turnA).median / timingOf(turnB).median);
  }
  return outcome(timingOf(timesA), timingOf(timesB), ratios);
}

async function runsPerTurn(run: Run): Promise<number> {
  const once = await timeRun(run);
  return Math.max(1, Math.min(mostRunsPerTurn, Math.round(turnMilliseconds / once)));
}

async function turn(run: Run, count: number): Promise<readonly number[]> {
  await pause(pauseMilliseconds);
  await run();
  const times: number[] = [];
  for (let i = 0; i < count; i++) times.push(await timeRun(run));
  return times;
}

/** @param ratios a's median over b's, one a turn */
export function outcome(a: Timing, b: Timing, ratios: readonly number[]): Race {
  const sorted = [...ratios].sort((x, y) => x - y);
  const [ratioP10, ratioP90] = [quantile(sorted, 0.1), quantile(sorted, 0.9)];
  return {
    a,
    b,
    turns: ratios.length,
    ratio: a.median / b.median,
    ratioP10,
    ratioP90,
    noise: ratioP10 <= 1 && ratioP90 >= 1,
  };
}
