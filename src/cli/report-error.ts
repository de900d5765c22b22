import { CommanderError } from 'commander';
import { MobileOneError } from '../errors.ts';
import { printable } from './text/layout.ts';

/** 0 done, 1 failed, 2 used wrongly, 130 interrupted. */
export type ExitCode = 0 | 1 | 2 | 130;

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (!(error instanceof MobileOneError)) return 1;
  if (error.details.interrupted === true) return 130;
  return error.code === 'usage' ? 2 : 1;
}

/** What a person is told; undefined where commander has told it. With `debug`, the stack and its causes. */
export function describeError(error: unknown, debug: boolean): string | undefined {
  if (error instanceof CommanderError) return undefined;
  if (debug) return stackOf(error);
  if (error instanceof MobileOneError) return cleanLines(error.message);
  const message = error instanceof Error ? error.message : String(error);
  return `unexpected: ${cleanLines(message)}\nRun it again with --debug to see where.`;
}

/** Names from files may carry control characters; the line breaks of a message stay. */
const cleanLines = (text: string): string => text.split('\n').map(printable).join('\n');

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\ncaused by: ${stackOf(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
