import { type Command, Option } from 'commander';
import { UsageError } from '../../errors.ts';
import { findBuiltIn } from '../../hub/built-in.ts';
import { evalTransforms } from '../../image/eval-transform.ts';
import { loadClassifier } from '../../node.ts';
import type { Classification } from '../../task/classify.ts';
import { readTaskHead } from '../../task/head-checkpoint.ts';
import type { LoadedClassifier, LoadOptions } from '../../task/load-classifier.ts';
import { type Task, type TaskHead, taskTitles } from '../../task/task-head.ts';
import { nameList, pixelLimit, positiveInteger, share } from '../arguments.ts';
import { readCalibration } from '../calibration.ts';
import { addEngineOptions, chooseEngine, type EngineFlags } from '../engine-options.ts';
import { readLabelsFile } from '../labels-file.ts';
import { findPictures } from '../picture-files.ts';
import { drawingPlaces, type HeadFlags, headPredictor, writeDrawing } from '../predict-heads.ts';
import { describeError } from '../report-error.ts';
import type { Terminal } from '../terminal.ts';
import { printable, table, wrap } from '../text/layout.ts';
import { percent } from '../text/numbers.ts';
import { addHubOptions, fetchWeights, type HubFlags, hubOptions } from '../weights.ts';

interface PredictFlags extends HubFlags, EngineFlags, HeadFlags {
  readonly model?: string;
  readonly weights?: string;
  readonly top?: number;
  readonly json?: boolean;
  readonly transform?: string;
  readonly inputSize?: number;
  readonly labels?: string;
  readonly run?: 'train' | 'deploy';
  readonly calibrate?: string;
  readonly orientation?: 'apply' | 'ignore';
  readonly maxPixels?: number;
  readonly debug?: boolean;
}

/** Comes with the package, so the first answer needs no network. */
const defaultModel = 'grocery';

export function addPredict(program: Command, terminal: Terminal): void {
  const command = program
    .command('predict')
    .summary('say what is on pictures')
    .description(
      'Classifies pictures, or finds objects or regions on them, as the net does: files, folders with everything below them, and quoted globs.',
    )
    .argument('<pictures...>', 'files, folders or globs')
    .option('-m, --model <name>', `a known model ("mobileone models"); default ${defaultModel}`)
    .option('-w, --weights <file>', 'your own checkpoint, recognized by its contents')
    .option('-n, --top <n>', 'how many classes to list; default 5', positiveInteger)
    .option(
      '--json',
      "one JSON object a line and picture: file, predLabel, predScore, predClass, top; or file, width, height and COCO's results",
    )
    .option('-o, --out <place>', 'draw boxes or regions: a .png for one picture, or a folder')
    .option('--score <p>', 'detection: objects surer than this, 0 to 1; default 0.3', share)
    .option('--classes <names>', 'detection, segmentation: only these, with commas between', nameList)
    .option('--most <n>', 'detection: at most so many objects; default 100', positiveInteger)
    .addOption(
      new Option('--transform <name>', 'prepare pictures as this family does').choices(
        Object.keys(evalTransforms),
      ),
    )
    .option('--input-size <n>', 'side of the square the net sees', positiveInteger)
    .option('--labels <file>', 'class names: JSON list, or one a line')
    .addOption(new Option('--run <form>', 'form that runs; default deploy').choices(['train', 'deploy']))
    .option(
      '--calibrate <place>',
      'for --precision bf16: pictures like yours, which keep answers near those of f32',
    )
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
  const source = flags.weights ?? flags.model ?? defaultModel;
  const { location, file } = await fetchWeights(source, hubOptions(flags), terminal);
  const head = await readTaskHead(file);
  const net = await (head ? prepareHead(head, location, files, flags) : prepare(location, flags));
  let failed = faults.length > 0;
  try {
    if (flags.json !== true) terminal.print(...wrap(net.title, terminal.width).map(terminal.dim));
    if (isDefault(flags) && flags.json !== true)
      terminal.print(...wrap(hint(), terminal.width).map(terminal.dim));
    for (const file of files) {
      try {
        terminal.print(...(await net.answer(file, terminal)));
      } catch (error) {
        failed = true;
        terminal.note(describeError(error, flags.debug === true) ?? '');
      }
    }
  } finally {
    net.dispose();
  }
  return failed ? 1 : 0;
}

/** A net made ready, whatever it does. */
interface Prepared {
  readonly title: string;
  readonly answer: (file: string, terminal: Terminal) => Promise<readonly string[]>;
  readonly dispose: () => void;
}

/** Options that nets for other tasks have must not be passed over in silence. */
function refuse(flags: PredictFlags, names: readonly (keyof PredictFlags & string)[], task: Task): void {
  for (const name of names)
    if (flags[name] !== undefined)
      throw new UsageError(
        `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}: has no meaning for a net for ${taskTitles[task]}.`,
      );
}

async function prepareHead(
  head: TaskHead,
  location: string,
  files: readonly string[],
  flags: PredictFlags,
): Promise<Prepared> {
  refuse(flags, ['top', 'transform', 'inputSize', 'labels', 'calibrate'], head.task);
  const [engine, compileOptions] = await chooseEngine(flags);
  const run = flags.run === undefined ? {} : { run: flags.run };
  const options = { hub: hubOptions(flags), engine, ...compileOptions, ...run };
  const net = await headPredictor(head, location, flags, options, decodeOptions(flags));
  const drawings = flags.out === undefined ? undefined : drawingPlaces(files, flags.out);
  return {
    title: net.title,
    answer: async (file, terminal) => {
      const { text, json, draw } = await net.predict(file);
      const place = drawings?.get(file);
      if (place !== undefined) await writeDrawing(place, draw());
      if (flags.json) return [JSON.stringify(json)];
      const title = place === undefined ? file : `${file} → ${place}`;
      return [terminal.bold(printable(title)), ...text(terminal).map((line) => `  ${line}`)];
    },
    dispose: net.dispose,
  };
}

async function prepare(location: string, flags: PredictFlags): Promise<Prepared> {
  refuse(flags, ['out', 'score', 'classes', 'most'], 'classify');
  const hub = hubOptions(flags);
  const [engine, compileOptions] = await chooseEngine(flags);
  const options: LoadOptions = {
    hub,
    engine,
    ...compileOptions,
    ...(flags.transform === undefined ? {} : { transform: flags.transform }),
    ...(flags.inputSize === undefined ? {} : { inputSize: flags.inputSize }),
    ...(flags.labels === undefined ? {} : { labels: await readLabelsFile(flags.labels) }),
    ...(flags.run === undefined ? {} : { run: flags.run }),
    ...(flags.calibrate === undefined ? {} : { calibration: await readCalibration(flags.calibrate) }),
  };
  const classifier = await loadClassifier(location, options);
  const wanted = { topK: flags.top ?? 5, ...decodeOptions(flags) };
  return {
    title: describe(classifier),
    answer: async (file, terminal) => {
      const answer = await classifier.classify(file, wanted);
      return flags.json ? [toJson(file, answer)] : toText(file, answer, terminal);
    },
    dispose: () => classifier.dispose(),
  };
}

const isDefault = ({ model, weights }: PredictFlags): boolean => model === undefined && weights === undefined;

/** What the default can name, and where a thousand names are. */
function hint(): string {
  const knows = findBuiltIn(defaultModel)?.knows ?? '';
  return `${defaultModel}, which comes with the package, knows ${knows}; --model s0 knows ImageNet's 1000 classes and is downloaded once.`;
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
