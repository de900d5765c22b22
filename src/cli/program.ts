import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { addPredict } from './commands/predict.ts';
import type { Terminal } from './terminal.ts';

/** The package's own version; this file is `dist/src/cli/program.js` in it. */
function packageVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  const { version }: { version: string } = JSON.parse(text);
  return version;
}

export function createProgram(terminal: Terminal): Command {
  const program = new Command('mobileone')
    .description('MobileOne image nets: predict, look inside, re-parameterize, export.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .option('--debug', 'show where an error comes from')
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(--help says what can be given)')
    .exitOverride();
  for (const add of [addPredict]) add(program, terminal);
  return program.addHelpText('after', '\nExample:\n  mobileone predict photo.jpg');
}
