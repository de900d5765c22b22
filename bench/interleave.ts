import { setTimeout as pause } from 'node:timers/promises';
import { difference } from './expected.ts';
import type { RowProcess } from './row-process.ts';
import type { Row } from './rows.ts';
import { type Timing, timingOf } from './statistics.ts';

/** What became of a row. A wrong one is not timed. */
export type Outcome = { readonly row: Row; readonly label?: string } & (
  | { readonly kind: 'left out' | 'wrong' | 'failed'; readonly reason: string }
  | {
      readonly kind: 'timed';
      readonly timing: Timing;
      /** From the expected logits, in the unit of the row's tolerance. */
      readonly difference: number;
      readonly info: RowProcess['info'];
    }
);

export interface Schedule {
  readonly rounds: number;
  /** Runs before the first turn, untimed. */
  readonly warmUp: number;
}

/** A turn takes about this long, so that rows wait equally long for theirs. */
const turnMilliseconds = 40;
const mostRunsPerTurn = 10;
/** Lets the threads of the row before fall asleep. */
const pauseMilliseconds = 15;

interface Contestant {
  readonly row: Row;
  readonly process: RowProcess;
  readonly difference: number;
  readonly milliseconds: number[];
  runsPerTurn: number;
  failure: string | undefined;
}

/** Loads and checks rows one after the other, then gives them turns, round by round. */
export async function interleave(
  rows: readonly Row[],
  schedule: Schedule,
  place: {
    /** Loads a row, or says why it cannot run. */
    readonly start: (row: Row) => Promise<RowProcess | string>;
    readonly expected: Float32Array;
  },
): Promise<readonly Outcome[]> {
  const outcomes = new Map<Row, Outcome>();
  const contestants: Contestant[] = [];
  try {
    for (const row of rows) {
      const process = await place.start(row);
      const entry = typeof process === 'string' ? leftOut(row, process) : check(row, process, place.expected);
      if ('kind' in entry) outcomes.set(row, entry);
      else contestants.push(entry);
    }
    for (const contestant of contestants) await warmUp(contestant, schedule.warmUp);
    for (let round = 0; round < schedule.rounds; round++)
      for (const contestant of contestants) await turn(contestant);
  } finally {
    for (const { process } of contestants) process.end();
  }
  for (const contestant of contestants) outcomes.set(contestant.row, outcomeOf(contestant));
  return rows.flatMap((row) => outcomes.get(row) ?? []);
}

const leftOut = (row: Row, reason: string): Outcome => ({ row, kind: 'left out', reason });

function check(row: Row, process: RowProcess, expected: Float32Array): Outcome | Contestant {
  const { tolerance } = row.engine;
  const found = difference(process.logits, expected, tolerance);
  if (found <= tolerance.atMost)
    return { row, process, difference: found, milliseconds: [], runsPerTurn: 1, failure: undefined };
  process.end();
  const reason = `${tolerance.of} differ by ${found.toExponential(1)}, more than ${tolerance.atMost}`;
  return { row, kind: 'wrong', reason };
}

async function attempt(contestant: Contestant, runs: number, untimed: number): Promise<readonly number[]> {
  if (contestant.failure !== undefined) return [];
  try {
    return await contestant.process.time({ runs, warmUp: untimed });
  } catch (error) {
    contestant.failure = error instanceof Error ? error.message : String(error);
    return [];
  }
}

async function warmUp(contestant: Contestant, runs: number): Promise<void> {
  const times = await attempt(contestant, runs, 0);
  const fastest = Math.min(...times, turnMilliseconds);
  contestant.runsPerTurn = Math.max(1, Math.min(mostRunsPerTurn, Math.round(turnMilliseconds / fastest)));
}

/** One run to bring the caches back, then the timed ones. */
async function turn(contestant: Contestant): Promise<void> {
  await pause(pauseMilliseconds);
  contestant.milliseconds.push(...(await attempt(contestant, contestant.runsPerTurn + 1, 1)));
}

function outcomeOf({ row, process, difference: found, milliseconds, failure }: Contestant): Outcome {
  if (failure !== undefined) return { row, kind: 'failed', reason: failure };
  if (milliseconds.length === 0) return { row, kind: 'failed', reason: 'it was never timed' };
  return { row, kind: 'timed', timing: timingOf(milliseconds), difference: found, info: process.info };
}
