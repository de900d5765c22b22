import { type Command, Option } from 'commander';
import { UsageError } from '../../errors.ts';
import { pictureSize, positiveInteger, seconds } from '../arguments.ts';
import { measure } from '../bench/measure.ts';
import { toJson, toText, unfusedWarning } from '../bench/report.ts';
import { findSubject, type SubjectFlags } from '../bench/subject.ts';
import { rivals } from '../bench/versus.ts';
import { addEngineOptions, chooseEngine, type EngineFlags } from '../engine-options.ts';
import type { Terminal } from '../terminal.ts';

interface BenchFlags extends SubjectFlags, EngineFlags {
  readonly seconds?: number;
  readonly runs?: number;
  readonly profile?: boolean;
  readonly vs?: (typeof rivals)[number];
  readonly json?: boolean;
}

export function addBench(program: Command, terminal: Terminal): void {
  const command = program
    .command('bench')
    .summary('measure how fast a net runs')
    .description('Measures a net on this machine. A name gets random weights, so nothing is downloaded.')
    .argument('<model>', 'a name such as s0, or a checkpoint file')
    .option('--batch <n>', 'pictures a run', positiveInteger, 1)
    .option('--input <size>', 'picture, height × width; default its own', pictureSize)
    .addOption(new Option('--form <form>', 'form that runs').choices(['train', 'deploy']).default('deploy'))
    .option('--seconds <s>', 'how long to time; default 3', seconds)
    .option('--runs <n>', 'how many runs to time instead', positiveInteger)
    .option('--profile', 'time of every layer')
    .addOption(new Option('--vs <rival>', 'measure in turns with another runtime').choices(rivals))
    .option('--json', 'one JSON object');
  addEngineOptions(command)
    .addHelpText('after', '\nExample:\n  mobileone bench s0 --threads 1 --profile')
    .action(async (model: string, flags: BenchFlags) => {
      await bench(model, flags, terminal);
    });
}

async function bench(model: string, flags: BenchFlags, terminal: Terminal): Promise<void> {
  if (flags.runs !== undefined && flags.seconds !== undefined)
    throw new UsageError('bench: give --runs or --seconds, not both.');
  if (flags.profile && flags.engine === 'reference')
    throw new UsageError('--profile: engine reference keeps no profile; use engine cpu.');
  const engine = await chooseEngine(flags);
  const subject = await findSubject(model, flags, terminal);
  const warning = unfusedWarning(subject);
  if (warning !== undefined) terminal.note(warning);
  const schedule = {
    ...(flags.runs === undefined ? {} : { runs: flags.runs }),
    ...(flags.seconds === undefined ? {} : { seconds: flags.seconds }),
  };
  const wanted = { profile: flags.profile === true, versus: flags.vs !== undefined };
  const found = await measure(subject, engine, schedule, wanted);
  if (flags.json) terminal.print(JSON.stringify(toJson(found), undefined, 2));
  else terminal.print(...toText(found, terminal));
}
