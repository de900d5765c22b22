/**
 * The functions that walk steps and call kernels, in machine code; runner-layout.ts says how threads share work.
 * Every function takes up to two pointer-wide arguments and returns an integer. Where the system has futexes
 * (Linux) a thread that has spun in vain sleeps; elsewhere it goes on spinning.
 */
import { runAlone } from './run-alone.ts';
import { runShared } from './run-shared.ts';
import { RunnerCode, type RunnerOptions } from './runner-code.ts';
import { serve, wake } from './serve.ts';

export interface RunnerEntries {
  readonly runAlone: number;
  readonly runShared: number;
  readonly serve: number;
  readonly wake: number;
}

/** Position-independent code of all runner functions, and where each starts. */
export function emitRunner(options: RunnerOptions): { code: Uint8Array; entries: RunnerEntries } {
  const runner = new RunnerCode(options);
  const entries: RunnerEntries = {
    runAlone: runAlone(runner),
    runShared: runShared(runner),
    serve: serve(runner),
    wake: wake(runner),
  };
  return { code: runner.encoder.code.copy(), entries };
}
