import { checkDataset, type DataReport } from '../../data/check-dataset.ts';
import { describeDataReport, requireTrainable } from '../../data/data-report.ts';
import type { ClassSplits } from '../../data/dataset.ts';
import { UsageError } from '../../errors.ts';
import { baseWidths, mobileOneConfig, type VariantName } from '../../model/config.ts';
import { openDataPath } from '../../platform/node/folder-files.ts';
import { createNodeDecoder } from '../../platform/node/image-decoder.ts';
import { openRunFolder } from '../../platform/node/run-folder.ts';
import { type LoadedNet, loadNet } from '../../task/load-net.ts';
import { dataFacts, prepareRun, type RunPlan } from '../../training/prepare-run.ts';
import { type ClassifyConfig, requireClassify } from '../../training/run-config.ts';
import type { RunStore } from '../../training/run-store.ts';
import { readRun, type TrainOptions } from '../../training/train.ts';
import type { Terminal } from '../terminal.ts';
import { printable } from '../text/layout.ts';
import { fetchWeights, type HubFlags, hubOptions } from '../weights.ts';
import { newRunPlace } from './run-place.ts';

/** What decides a new run; a run that goes on takes it from its own configuration. */
export interface NewRunFlags extends HubFlags {
  readonly out?: string;
  readonly model?: VariantName;
  readonly branches?: number;
  readonly width?: number;
  readonly from?: string;
  readonly freeze?: string;
  readonly recipe?: string;
  readonly epochs?: number;
  readonly batch?: number;
  readonly size?: number;
  readonly seed?: number;
  readonly set: readonly string[];
  readonly precision?: string;
  readonly holdOut?: number;
  readonly check: boolean;
}

/** A run ready to train: new or going on. */
export interface StartedRun extends Pick<TrainOptions, 'weights' | 'from'> {
  readonly config: ClassifyConfig;
  readonly store: RunStore;
  readonly splits: ClassSplits;
  /** Whether every picture was looked at, and broken ones told. */
  readonly checked: boolean;
  /** Words about where the weights come from. */
  readonly origin: string;
}

const decides = [
  'out',
  'model',
  'branches',
  'width',
  'from',
  'freeze',
  'recipe',
  'epochs',
  'batch',
  'size',
  'seed',
  'precision',
  'holdOut',
] as const;

/** @throws UsageError, TrainingError, FormatError for a run that cannot go on; DataError for its data */
export async function resumeRun(
  folder: string,
  data: string | undefined,
  flags: NewRunFlags,
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
  const { progress } = from;
  const config = requireClassify(from.config);
  const splits = await openDataPath(
    data ?? config.data.name,
    splitOptions(config.data.holdOut, config.recipe.seed),
  );
  return { config, store, from, splits, checked: false, origin: `going on after step ${progress.step}` };
}

/** Looks at the data, decides on a recipe, and makes the run's folder. */
export async function beginRun(data: string, flags: NewRunFlags, terminal: Terminal): Promise<StartedRun> {
  const splits = await openDataPath(data, splitOptions(flags.holdOut ?? null, flags.seed ?? 0));
  const report = flags.check ? await checkData(splits, terminal) : undefined;
  const source = flags.from === undefined ? undefined : await findWeights(flags.from, flags, terminal);
  const { config, weights, newHead } = prepareRun({
    ...choices(flags),
    labels: splits.classes,
    data: dataFacts(splits, { name: data, holdOut: flags.holdOut ?? null }),
    shortSide: report?.shortSide?.median,
    ...(source ? { from: source } : {}),
  });
  const store = await openRunFolder(newRunPlace(data, flags.out));
  const origin = source
    ? `${printable(source.name)}, ${config.form} form, ${newHead ? 'new' : 'same'} classifier`
    : `fresh weights, seed ${config.recipe.seed}`;
  return { config, store, weights, splits, checked: flags.check, origin };
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

function choices(flags: NewRunFlags): Omit<RunPlan, 'labels' | 'data'> {
  const { model, branches, width, precision, set } = flags;
  const widths = width === undefined ? undefined : scaledWidths(model ?? 's0', width);
  const own = { ...(branches === undefined ? {} : { branches }), ...(widths ? { widths } : {}) };
  const kept = Object.fromEntries(
    (['recipe', 'epochs', 'batch', 'size', 'seed', 'freeze'] as const).flatMap((flag) =>
      flags[flag] === undefined ? [] : [[flag, flags[flag]]],
    ),
  );
  return {
    ...kept,
    ...(model === undefined ? {} : { variant: model }),
    ...(Object.keys(own).length > 0 ? { model: own } : {}),
    set: [...(precision === undefined ? [] : [`precision=${precision}`]), ...set],
  };
}

/** A variant's stages, `factor` times as wide, in whole eights of channels. */
function scaledWidths(variant: VariantName, factor: number): readonly number[] {
  return mobileOneConfig(variant).stages.map(({ channels }, i) => {
    const base = baseWidths[i] ?? 64;
    return Math.max(8, Math.round((channels * factor) / 8) * 8) / base;
  });
}
