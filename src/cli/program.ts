import { Command } from 'commander';
import { addBench } from './commands/bench.ts';
import { addDoctor } from './commands/doctor.ts';
import { addExport } from './commands/export.ts';
import { addInfo } from './commands/info.ts';
import { addInspect } from './commands/inspect.ts';
import { addModels } from './commands/models.ts';
import { addPredict } from './commands/predict.ts';
import { addReparameterize } from './commands/reparameterize.ts';
import { addTrain } from './commands/train.ts';
import { addVal } from './commands/val.ts';
import { packageVersion } from './package-version.ts';
import type { Terminal } from './terminal.ts';

/** In the order in which help lists them. */
const commands = [
  addPredict,
  addTrain,
  addVal,
  addModels,
  addInfo,
  addInspect,
  addReparameterize,
  addExport,
  addBench,
  addDoctor,
];

export function createProgram(terminal: Terminal): Command {
  const program = new Command('mobileone')
    .description('MobileOne image nets: predict, train, look inside, re-parameterize, export, measure.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .option('--debug', 'show where an error comes from')
    .configureHelp({
      showGlobalOptions: true,
      subcommandTerm: (command) => command.name(),
      minWidthToWrap: 10,
    })
    .showHelpAfterError('(--help says what can be given)')
    .exitOverride()
    .addHelpText('after', '\nExample:\n  mobileone predict photo.jpg');
  for (const add of commands) add(program, terminal);
  return program;
}
