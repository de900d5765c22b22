import type { NodeBinary } from '../../test/support/node-binaries.ts';
import type { Peaks, SuiteReport } from '../report.ts';

export interface SuiteOptions {
  /** S0 and batch 1 only, few rounds: to see that everything works. */
  readonly quick: boolean;
  /** Parts that a row's id must have, all of them. */
  readonly only: readonly string[];
  readonly rounds: number | undefined;
  readonly newerNode: NodeBinary | undefined;
  readonly peaks: Peaks;
}

export type Suite = (options: SuiteOptions) => Promise<SuiteReport>;

/** The line of a child's stderr that says what went wrong. */
export function failureLine(stderr: string): string {
  const lines = stderr.trim().split('\n');
  return lines.find((line) => /^\w*Error\b/.test(line)) ?? lines.at(-1) ?? 'it failed';
}
