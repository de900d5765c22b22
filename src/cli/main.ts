#!/usr/bin/env node
// The command `mobileone`. Exit codes: 0 done, 1 failed, 2 used wrongly, 130 interrupted.
import { createProgram } from './program.ts';
import { describeError, exitCodeOf } from './report-error.ts';
import { processTerminal } from './terminal.ts';

// A reader that has seen enough, such as `head`, closes the pipe; there is nobody left to tell.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });

const terminal = processTerminal();
const program = createProgram(terminal);
try {
  await program.parseAsync();
} catch (error) {
  const debug = program.opts<{ debug?: boolean }>().debug === true || (process.env.DEBUG ?? '') !== '';
  const text = describeError(error, debug);
  if (text !== undefined) terminal.note(`mobileone: ${text}`);
  process.exitCode = exitCodeOf(error);
}
