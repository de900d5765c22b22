import { type Command, InvalidArgumentError, Option } from 'commander';
import { createLoader } from '../../data/loader/loader.ts';
import { UsageError } from '../../errors.ts';
import { evalTransforms, resolveEvalTransform } from '../../image/eval-transform.ts';
import { createNodeDecoder } from '../../platform/node/image-decoder.ts';
import { createNodePool } from '../../platform/node/loader-workers.ts';
import { inputSize } from '../../task/classify.ts';
import { evaluateClassifier } from '../../task/evaluate-classifier.ts';
import { type NamedHeadNet, readHeadNet, readTaskHead } from '../../task/head-checkpoint.ts';
import { type LoadedNet, loadNet } from '../../task/load-net.ts';
import { matchClasses } from '../../task/match-classes.ts';
import { defaultLabels } from '../../task/net-defaults.ts';
import { positiveInteger, wholeNumber } from '../arguments.ts';
import { countBar } from '../count-bar.ts';
import { addEngineOptions, chooseEngine } from '../engine-options.ts';
import { readLabelsFile } from '../labels-file.ts';
import { reportFolder } from '../report-folder.ts';
import type { Terminal } from '../terminal.ts';
import { printable } from '../text/layout.ts';
import { toJson, toText, type Verdict } from '../val/describe.ts';
import { headJson, headText } from '../val/head-verdict.ts';
import { type HeadValFlags, judgeHead } from '../val/judge-heads.ts';
import { openPictures } from '../val/open-pictures.ts';
import { saveVerdict } from '../val/save.ts';
import { saveHeadVerdict } from '../val/save-heads.ts';
import { addHubOptions, fetchWeights, type HubFlags, hubOptions } from '../weights.ts';

interface ValFlags extends HubFlags, HeadValFlags {
  readonly labels?: string;
  readonly transform?: string;
  readonly inputSize?: number;
  readonly json?: boolean;
  readonly save?: string;
}

export function addVal(program: Command, terminal: Terminal): void {
  const command = program
    .command('val')
    .summary('measure how often a net is right')
    .description(
      'Evaluates a net on labelled pictures: a folder of class folders (also inside train, val, test), or a list file. ' +
        'Class folders are called as the labels are, by ImageNet’s ids or by number. ' +
        'Nets that find objects or tell what lies where are judged by annotated pictures: COCO, Pascal VOC, YOLO, or masks of classes.',
    )
    .argument('<model>', 'a known model ("mobileone models") or a file with weights')
    .argument('<data>', 'folder of class folders, list file, or folder of annotated pictures')
    .addOption(
      new Option('--form <form>', 'form that runs').choices(['deploy', 'train', 'both']).default('deploy'),
    )
    .addOption(
      new Option('--split <part>', 'part of the data; default val, else test, else all').choices([
        'train',
        'val',
        'test',
      ]),
    )
    .option(
      '--hold-out <share>',
      'judge by this share of the pictures, held out as "train" holds it out',
      holdOutShare,
    )
    .option('--seed <n>', 'decides what is held out; as in training', wholeNumber)
    .option('--batch <n>', 'pictures at a time', positiveInteger, 32)
    .option('--workers <n>', 'threads that read pictures', wholeNumber)
    .option('--labels <file>', 'the net’s class names: JSON list, or one a line')
    .addOption(
      new Option('--transform <name>', 'prepare pictures as this family does').choices(
        Object.keys(evalTransforms),
      ),
    )
    .option('--input-size <n>', 'side of the square the net sees', positiveInteger)
    .addOption(
      new Option('--absent <how>', 'how mean IoU counts classes that are nowhere; default skip').choices([
        'skip',
        'zero',
        'undefined',
      ]),
    )
    .option('--strict', 'stop at faults in annotations instead of leaving them out')
    .option('--json', 'everything as one JSON object')
    .option('--save <folder>', 'write metrics.json, plots and report.html there');
  addHubOptions(addEngineOptions(command))
    .addHelpText('after', '\nExample:\n  mobileone val model.safetensors photos/ --save result')
    .action(async (model: string, data: string) => {
      process.exitCode = await val(model, data, command.optsWithGlobals<ValFlags>(), terminal);
    });
}

function holdOutShare(text: string): number {
  const value = Number(text);
  if (/^0?\.\d+$/.test(text) && value > 0 && value < 1) return value;
  throw new InvalidArgumentError('A share between 0 and 1, such as 0.1, is expected.');
}

/** @returns 1 when a picture could not be read, 0 otherwise */
async function val(model: string, data: string, flags: ValFlags, terminal: Terminal): Promise<0 | 1> {
  const hub = hubOptions(flags);
  const { location, file } = await fetchWeights(model, hub, terminal);
  if (await readTaskHead(file)) return valHead(await readHeadNet(file), location, data, flags, terminal);
  const dataset = await openPictures(data, flags);
  const loaded = await loadNet(location, hub);
  const labels = flags.labels === undefined ? loaded.labels : await readLabelsFile(flags.labels);
  const { naming, indices } = matchClasses(dataset.name, dataset.classes, netClasses(loaded, labels));
  const verdict = await judge(loaded, dataset, indices, flags, terminal);
  const whole = { ...verdict, naming, labels: labels ?? defaultLabels(loaded.net, loaded.entry) };
  for (const { path, reason } of whole.broken)
    terminal.note(printable(reason.startsWith(path) ? reason : `${path}: ${reason}`));
  terminal.print(...(flags.json ? [toJson(whole)] : toText(whole, terminal)));
  if (flags.save !== undefined) {
    await saveVerdict(reportFolder(flags.save), whole, await createNodeDecoder());
    terminal.note(`Report: ${flags.save}/report.html`);
  }
  return whole.broken.length > 0 ? 1 : 0;
}

/** The same for a net that finds objects or tells what lies where. */
async function valHead(
  net: NamedHeadNet,
  location: string,
  data: string,
  flags: ValFlags,
  terminal: Terminal,
): Promise<0 | 1> {
  for (const name of ['labels', 'transform', 'inputSize'] as const)
    if (flags[name] !== undefined)
      throw new UsageError(
        `--${name === 'inputSize' ? 'input-size' : name}: is for classifiers; a net with a head says itself what it needs.`,
      );
  const verdict = await judgeHead(net, location, data, flags, terminal);
  for (const { path, reason } of verdict.broken) terminal.note(printable(`${path}: ${reason}`));
  terminal.print(...(flags.json ? [headJson(verdict)] : headText(verdict, terminal)));
  if (flags.save !== undefined) {
    await saveHeadVerdict(reportFolder(flags.save), verdict, await createNodeDecoder());
    terminal.note(`Report: ${flags.save}/report.html`);
  }
  return verdict.broken.length > 0 ? 1 : 0;
}

function netClasses({ net, entry }: LoadedNet, labels: readonly string[] | undefined) {
  const { classes: count } = net.config;
  if (labels !== undefined && labels.length !== count)
    throw new UsageError(
      `val: ${net.config.name} has ${count} classes, but ${labels.length} labels were given.`,
    );
  const imagenet = count === 1000 && (entry !== undefined || labels === undefined);
  return { count, labels: labels ?? (imagenet ? defaultLabels(net, entry) : undefined), imagenet };
}

async function judge(
  loaded: LoadedNet,
  dataset: Verdict['dataset'],
  indices: readonly number[],
  flags: ValFlags,
  terminal: Terminal,
): Promise<Omit<Verdict, 'naming' | 'labels'>> {
  const size = flags.inputSize === undefined ? {} : { inputSize: flags.inputSize };
  const transform = resolveEvalTransform(flags.transform ?? loaded.transform, size);
  const [height, width] = inputSize(transform);
  const [engine, compile] = await chooseEngine(flags);
  const batch = Math.min(flags.batch, dataset.samples.length);
  const interrupt = new AbortController();
  const onInterrupt = (): void => interrupt.abort(new UsageError('interrupted.', { interrupted: true }));
  const pool = await createNodePool(flags.workers === undefined ? {} : { workers: flags.workers });
  const loader = createLoader(dataset, pool, {
    batchSize: batch,
    pictures: { kind: 'eval', transform },
    signal: interrupt.signal,
  });
  const bar = countBar(terminal, 'pictures', dataset.samples.length);
  process.once('SIGINT', onInterrupt);
  try {
    const evaluation = await evaluateClassifier(loaded.net, loader.epoch(0), {
      engine,
      compile,
      forms: flags.form === 'both' ? ['train', 'deploy'] : [flags.form],
      batch,
      height,
      width,
      labelOf: (index) => indices[dataset.samples[index]?.target ?? -1] ?? -1,
      onProgress: bar.show,
      signal: interrupt.signal,
    });
    const { broken } = loader.stats();
    return {
      model: loaded.name,
      location: loaded.location,
      engine: engine.name,
      dataset,
      evaluation,
      broken,
    };
  } finally {
    bar.end();
    process.off('SIGINT', onInterrupt);
    await pool.close();
  }
}
