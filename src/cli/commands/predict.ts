import { type Command, Option } from 'commander';
import { UsageError } from '../../errors.ts';
import { evalTransforms } from '../../image/eval-transform.ts';
import { loadClassifier } from '../../node.ts';
import type { Classification } from '../../task/classify.ts';
import type { LoadedClassifier, LoadOptions } from '../../task/load-classifier.ts';
import { pixelLimit, positiveInteger } from '../arguments.ts';
import { addEngineOptions, chooseEngine, type EngineFlags } from '../engine-options.ts';
import { readLabelsFile } from '../labels-file.ts';
import { findPictures } from '../picture-files.ts';
import { describeError } from '../report-error.ts';
import type { Terminal } from '../terminal.ts';
import { printable, table, wrap } from '../text/layout.ts';
import { percent } from '../text/numbers.ts';
import { addHubOptions, fetchWeights, type HubFlags, hubOptions } from '../weights.ts';

interface PredictFlags extends HubFlags, EngineFlags {
  readonly model?: string;
  readonly weights?: string;
  readonly top: number;
  readonly json?: boolean;
  readonly transform?: string;
  readonly inputSize?: number;
  readonly labels?: string;
  readonly run?: 'train' | 'deploy';
  readonly orientation?: 'apply' | 'ignore';
  readonly maxPixels?: number;
  readonly debug?: boolean;
}

const defaultModel = 'mobileone-s0';

export function addPredict(program: Command, terminal: Terminal): void {
  const command = program
    .command('predict')
    .summary('say what is on pictures')
    .description('Classifies pictures: files, folders with everything below them, and quoted globs.')
    .argument('<pictures...>', 'files, folders or globs')
    .option('-m, --model <name>', `a known model ("mobileone models"); default ${defaultModel}`)
    .option('-w, --weights <file>', 'your own checkpoint, recognized by its contents')
    .option('-n, --top <n>', 'how many classes to list', positiveInteger, 5)
    .option('--json', 'one JSON object a line and picture: file, predLabel, predScore, predClass, top')
    .addOption(
      new Option('--transform <name>', 'prepare pictures as this family does').choices(
        Object.keys(evalTransforms),
      ),
    )
    .option('--input-size <n>', 'side of the square the net sees', positiveInteger)
    .option('--labels <file>', 'class names: JSON list, or one a line')
    .addOption(new Option('--run <form>', 'form that runs; default deploy').choices(['train', 'deploy']))
    .addOption(
      new Option('--orientation <rule>', 'EXIF orientation; default apply').choices(['apply', 'ignore']),
    )
    .option('--max-pixels <n>', 'refuse larger pictures; "none" lifts the limit', pixelLimit);
  addHubOptions(addEngineOptions(command))
    .addHelpText('after', '\nExample:\n  mobileone predict photo.jpg holiday/ --model s1 --top 3')
    .action(async (places: readonly string[]) => {
      // Flags of the program itself, such as --debug, come with the command's own.
      process.exitCode = await predict(places, command.optsWithGlobals<PredictFlags>(), terminal);
    });
}

/** @returns 1 when a picture could not be read, 0 otherwise */
async function predict(places: readonly string[], flags: PredictFlags, terminal: Terminal): Promise<0 | 1> {
  if (flags.model !== undefined && flags.weights !== undefined)
    throw new UsageError('predict: give --model or --weights, not both.');
  const { files, faults } = await findPictures(places);
  if (files.length === 0)
    throw new UsageError(`predict: no pictures found.\n${faults.map((fault) => `  ${fault}`).join('\n')}`);
  for (const fault of faults) terminal.note(printable(fault));
  const classifier = await prepare(flags, terminal);
  const options = { topK: flags.top, ...decodeOptions(flags) };
  let failed = faults.length > 0;
  try {
    if (flags.json !== true) terminal.print(...wrap(describe(classifier), terminal.width).map(terminal.dim));
    for (const file of files) {
      try {
        const answer = await classifier.classify(file, options);
        terminal.print(...(flags.json ? [toJson(file, answer)] : toText(file, answer, terminal)));
      } catch (error) {
        failed = true;
        terminal.note(describeError(error, flags.debug === true) ?? '');
      }
    }
  } finally {
    classifier.dispose();
  }
  return failed ? 1 : 0;
}

async function prepare(flags: PredictFlags, terminal: Terminal): Promise<LoadedClassifier> {
  const hub = hubOptions(flags);
  const [engine, compileOptions] = await chooseEngine(flags);
  const source = flags.weights ?? flags.model ?? defaultModel;
  const { location } = await fetchWeights(source, hub, terminal);
  const options: LoadOptions = {
    hub,
    engine,
    ...compileOptions,
    ...(flags.transform === undefined ? {} : { transform: flags.transform }),
    ...(flags.inputSize === undefined ? {} : { inputSize: flags.inputSize }),
    ...(flags.labels === undefined ? {} : { labels: await readLabelsFile(flags.labels) }),
    ...(flags.run === undefined ? {} : { run: flags.run }),
  };
  return loadClassifier(location, options);
}

function decodeOptions({ orientation, maxPixels }: PredictFlags) {
  return {
    ...(orientation === undefined ? {} : { orientation }),
    ...(maxPixels === undefined ? {} : { maxPixels }),
  };
}

function describe({ config, net, entry, location, form, engine }: LoadedClassifier): string {
  const source = entry ? entry.name : printable(`${net.metadata.name ?? config.name} from ${location}`);
  return `${source}, ${form} form, ${engine} engine`;
}

/** The keys are stable; what is added later comes after them. */
function toJson(file: string, { predLabel, predScore, predClass, top }: Classification): string {
  return JSON.stringify({ file, predLabel, predScore, predClass, top });
}

const barCells = 20;

function toText(file: string, { top }: Classification, terminal: Terminal): readonly string[] {
  const bars = terminal.fancy && terminal.width >= 64;
  const columns = [{ heading: '', align: 'right' }, { heading: '', least: 12 }, { heading: '' }] as const;
  const rows = top.map(({ className, score }) => [
    percent(score),
    printable(className),
    ...(bars ? ['█'.repeat(Math.round(score * barCells))] : []),
  ]);
  const lines = table(bars ? columns : columns.slice(0, 2), rows, terminal.width - 2);
  return [terminal.bold(printable(file)), ...lines.map((line) => `  ${line}`)];
}
