import { statSync } from 'node:fs';
import type { AnnotatedSplits } from '../../data/annotations/annotated.ts';
import { annotatedTasks } from '../../data/annotations/recognize-task.ts';
import { checkDataset, type DataReport } from '../../data/check-dataset.ts';
import { describeDataReport, requireTrainable } from '../../data/data-report.ts';
import type { ClassSplits } from '../../data/dataset.ts';
import { UsageError } from '../../errors.ts';
import { folderFiles, openDataPath } from '../../platform/node/folder-files.ts';
import { createNodeDecoder } from '../../platform/node/image-decoder.ts';
import { openRunFolder } from '../../platform/node/run-folder.ts';
import { type LoadedNet, loadNet } from '../../task/load-net.ts';
import type { Task } from '../../task/task-head.ts';
import { dataFacts, prepareRun, type RunPlan } from '../../training/recipe/prepare-run.ts';
import type { RunConfig } from '../../training/recipe/run-config.ts';
import type { LearnOptions } from '../../training/run/learn.ts';
import type { RunStore } from '../../training/run/run-store.ts';
import { readRun } from '../../training/run/train.ts';
import type { Terminal } from '../terminal.ts';
import { printable } from '../text/layout.ts';
import { fetchWeights, hubOptions } from '../weights.ts';
import { openAnnotatedRun, prepareAnnotatedRun } from './annotated-run.ts';
import { decides, type NewRunFlags, recipeChoices } from './new-run-flags.ts';
import { newRunPlace } from './run-place.ts';

/** A run ready to train: new or going on. */
export interface StartedRun extends Pick<LearnOptions, 'weights' | 'from'> {
  readonly config: RunConfig;
  readonly store: RunStore;
  readonly data: RunData;
  /** Whether every picture was looked at, and broken ones told. */
  readonly checked: boolean;
  /** Words about where the weights come from. */
  readonly origin: string;
}

/** Pictures to tell apart, or with objects or masks. */
export type RunData =
  | { readonly kind: 'classes'; readonly splits: ClassSplits }
  | { readonly kind: 'annotated'; readonly splits: AnnotatedSplits };

/** @throws UsageError, TrainingError, FormatError for a run that cannot go on; DataError for its data */
export async function resumeRun(
  folder: string,
  data: string | undefined,
  flags: NewRunFlags,
  terminal: Terminal,
): Promise<StartedRun> {
  const changed = [
    ...decides.filter((flag) => flags[flag] !== undefined),
    ...(flags.set.length > 0 ? ['set'] : []),
  ];
  if (changed.length > 0)
    throw new UsageError(
      `--resume "${folder}": the run goes on as it was begun; leave out ${changed.map((flag) => `--${flag.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`).join(', ')}, or begin a new run from its weights with --from.`,
    );
  const store = await openRunFolder(folder);
  const from = await readRun(store);
  if (from === undefined)
    throw new UsageError(`--resume "${folder}": there is no last.safetensors; expected the folder of a run.`);
  const { config, progress } = from;
  const place = data ?? config.data.name;
  const { holdOut } = config.data;
  const { seed } = config.recipe;
  const { task = 'classify' } = config;
  const opened: RunData =
    task === 'classify'
      ? { kind: 'classes', splits: await openDataPath(place, splitOptions(holdOut, seed)) }
      : {
          kind: 'annotated',
          splits: await openAnnotatedRun(place, { task, holdOut, seed, strict: false }, terminal),
        };
  const origin = `going on after step ${progress.step}`;
  return { config, store, from, data: opened, checked: task !== 'classify', origin };
}

/** Looks at the data, decides on a recipe, and makes the run's folder. */
export async function beginRun(data: string, flags: NewRunFlags, terminal: Terminal): Promise<StartedRun> {
  const task = flags.task ?? (await recognizedTask(data));
  return task === 'classify'
    ? beginClasses(data, flags, terminal)
    : beginAnnotated(data, task, flags, terminal);
}

/** @throws UsageError where a folder serves for two tasks */
async function recognizedTask(data: string): Promise<Task> {
  if (!statSync(data, { throwIfNoEntry: false })?.isDirectory()) return 'classify';
  const [task = 'classify', other] = await annotatedTasks(folderFiles(data));
  if (other === undefined) return task;
  throw new UsageError(
    `data "${data}": it has boxes of objects and masks of classes; say what to learn: --task detect or --task segment.`,
  );
}

async function beginAnnotated(
  data: string,
  task: 'detect' | 'segment',
  flags: NewRunFlags,
  terminal: Terminal,
): Promise<StartedRun> {
  const opening = {
    task,
    holdOut: flags.holdOut ?? null,
    seed: flags.seed ?? 0,
    strict: flags.strict === true,
  };
  const splits = await openAnnotatedRun(data, opening, terminal);
  const { config, weights, origin } = await prepareAnnotatedRun(splits, data, task, flags, terminal);
  const store = await openRunFolder(newRunPlace(data, flags.out));
  return { config, store, weights, data: { kind: 'annotated', splits }, checked: true, origin };
}

async function beginClasses(data: string, flags: NewRunFlags, terminal: Terminal): Promise<StartedRun> {
  const splits = await openDataPath(data, splitOptions(flags.holdOut ?? null, flags.seed ?? 0));
  const report = flags.check ? await checkData(splits, terminal) : undefined;
  const source = flags.from === undefined ? undefined : await findWeights(flags.from, flags, terminal);
  const { config, weights, newHead } = prepareRun({
    ...recipeChoices(flags),
    labels: splits.classes,
    data: dataFacts(splits, { name: data, holdOut: flags.holdOut ?? null }),
    shortSide: report?.shortSide?.median,
    ...(source ? { from: source } : {}),
  });
  const store = await openRunFolder(newRunPlace(data, flags.out));
  const origin = source
    ? `${printable(source.name)}, ${config.form} form, ${newHead ? 'new' : 'same'} classifier`
    : `fresh weights, seed ${config.recipe.seed}`;
  return { config, store, weights, data: { kind: 'classes', splits }, checked: flags.check, origin };
}

function splitOptions(
  holdOut: number | null,
  seed: number,
): { readonly holdOut?: number; readonly seed: number } {
  return { seed, ...(holdOut === null ? {} : { holdOut }) };
}

async function checkData(splits: ClassSplits, terminal: Terminal): Promise<DataReport> {
  const shown = terminal.drawsProgress;
  const report = await checkDataset(splits, await createNodeDecoder(), {
    onProgress: (done, total) => {
      if (shown && (done % 50 === 0 || done === total))
        process.stderr.write(`\rchecking pictures ${done}/${total}`);
    },
  });
  if (shown) process.stderr.write('\r\x1b[K');
  terminal.note(...describeDataReport(report).map(printable));
  requireTrainable(report);
  return report;
}

async function findWeights(name: string, flags: NewRunFlags, terminal: Terminal): Promise<RunPlan['from']> {
  const hub = hubOptions(flags);
  const { location } = await fetchWeights(name, hub, terminal);
  const { net, transform }: LoadedNet = await loadNet(location, hub);
  return { net, transform, name };
}
