import type { CompileOptions, Engine } from '../engine/engine.ts';
import { UsageError } from '../errors.ts';
import { type CheckedGraph, valueAt } from '../graph/graph.ts';
import type { ClassificationMetrics } from '../metrics/classification.ts';
import { buildMobileOne } from '../model/mobileone.ts';
import { evaluateClassifier } from '../task/evaluate-classifier.ts';
import type { Weights } from '../tensor/tensor.ts';
import { type EpochContext, runSteps, type StepReport } from './epoch.ts';
import { encodeRunCheckpoint, type RunCheckpoint, readRunCheckpoint } from './run-checkpoint.ts';
import { batchOf, type RunConfig, stepsPerEpoch } from './run-config.ts';
import { deployFile, runFiles } from './run-files.ts';
import {
  freshProgress,
  isBetter,
  type MetricsRow,
  metricsCsv,
  metricsJsonl,
  noSums,
  type Progress,
} from './run-progress.ts';
import type { RunStore } from './run-store.ts';
import { phaseAt } from './schedules.ts';
import { ratesAt, trainingStep } from './step.ts';
import { type CompiledTeacher, compileTeacher, type Teacher } from './teacher.ts';
import type { TrainingData } from './training-data.ts';
import { evaluationWeights } from './update-step.ts';

export interface TrainOptions {
  readonly engine: Engine;
  readonly compile?: CompileOptions;
  readonly config: RunConfig;
  /** Weights to start with, by the names of the configuration's net; left out where a run goes on. */
  readonly weights?: Weights;
  /** Goes on from here: `readRun` finds it in a store. */
  readonly from?: RunCheckpoint;
  readonly data: TrainingData;
  readonly store: RunStore;
  /** Needed by recipes that distill. */
  readonly teacher?: Teacher;
  /** Ends the run after the step under way, with a checkpoint. */
  readonly signal?: AbortSignal;
  /** A checkpoint in the middle of an epoch after so long; default 600. */
  readonly checkpointSeconds?: number;
  readonly onStep?: (report: StepReport) => void;
  readonly onEpoch?: (row: MetricsRow, isBest: boolean) => void;
}

export interface TrainResult {
  /** `stopped`: by the signal; the run can go on from its checkpoint. */
  readonly ended: 'done' | 'stopped';
  readonly config: RunConfig;
  readonly progress: Progress;
  /** The best epoch's weights, or the latest before the first epoch is over; by the net's names. */
  readonly weights: Weights;
}

/** One run under way. */
interface Run {
  readonly options: TrainOptions;
  readonly net: CheckedGraph;
  readonly steps: number;
  /** The net's weights and, once there was a step, all it remembers. */
  state: Weights;
  progress: Progress;
  best: Weights | undefined;
}

/**
 * Trains a net and keeps the store up to date: `config.json`, `metrics.csv`, `metrics.jsonl`, checkpoints
 * `last.safetensors` and `best.safetensors`, and `model.safetensors`, the best weights in deploy form. The same
 * configuration and data give the same numbers on one engine, also when the run was stopped and went on.
 * @throws TrainingError when the loss is no number any more or a file cannot be written; what was written before is
 *   whole
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const run = await openRun(options);
  const { config, store } = options;
  await store.write(runFiles.config, `${JSON.stringify(config, null, 2)}\n`);
  await writeMetrics(run);
  let ended: TrainResult['ended'] = 'done';
  while (ended === 'done' && epochOf(run) < config.recipe.epochs) ended = await trainPhase(run);
  return {
    ended,
    config,
    progress: run.progress,
    weights: run.best ?? evaluationWeights(parameterNames(run.net), run.state),
  };
}

/** The run that a store holds, at its last checkpoint; undefined when there is none. @throws FormatError */
export async function readRun(store: RunStore): Promise<RunCheckpoint | undefined> {
  const bytes = await store.read(runFiles.last);
  return bytes && readRunCheckpoint(bytes);
}

async function openRun(options: TrainOptions): Promise<Run> {
  const { config, data, from } = options;
  checkData(config, data);
  const { size } = config.recipe.evaluation;
  const net = buildMobileOne(config.model, { form: config.form, height: size, width: size });
  const weights = from?.state ?? options.weights;
  if (weights === undefined)
    throw new UsageError(
      'train: expected weights to start with, or a checkpoint to go on from; found neither.',
    );
  const best = from && from.progress.bestEpoch > 0 ? await bestWeights(options.store, net) : undefined;
  return {
    options,
    net,
    steps: stepsPerEpoch(config),
    state: weights,
    progress: from?.progress ?? freshProgress,
    best,
  };
}

function checkData(config: RunConfig, data: TrainingData): void {
  const found = { train: data.trainCount, validation: data.validationCount, classes: data.classes };
  const wanted = { ...config.data, classes: config.model.classes };
  const faults = (['train', 'validation', 'classes'] as const).filter((key) => found[key] !== wanted[key]);
  if (faults.length > 0)
    throw new UsageError(
      `data "${config.data.name}": ${faults.map((key) => `expected ${wanted[key]} ${key}, found ${found[key]}`).join('; ')}. A run needs the data it began with.`,
      { wanted, found },
    );
}

async function bestWeights(store: RunStore, net: CheckedGraph): Promise<Weights | undefined> {
  const bytes = await store.read(runFiles.best);
  if (!bytes) return undefined;
  const { state } = await readRunCheckpoint(bytes);
  return evaluationWeights(parameterNames(net), state);
}

const parameterNames = (graph: CheckedGraph): readonly string[] =>
  graph.parameters.map(({ value }) => valueAt(graph, value).name);

/** The epoch under way, from 0: the one after those that were evaluated. */
const epochOf = ({ progress }: Run): number => progress.history.length;

/** Epochs with pictures of one size, which share a compiled step. */
async function trainPhase(run: Run): Promise<TrainResult['ended']> {
  const { options } = run;
  const { config, engine } = options;
  const { recipe } = config;
  const batch = batchOf(config);
  const sizeNow = (): number => phaseAt(recipe.phases, epochOf(run)).size;
  const size = sizeNow();
  const net = buildMobileOne(config.model, { form: config.form, batch, height: size, width: size });
  const step = trainingStep({ graph: net, weights: run.state }, recipe);
  const precision = { precision: recipe.precision };
  const session = await engine.compile(step.graph, step.weights, { ...options.compile, ...precision });
  let teacher: CompiledTeacher | undefined;
  try {
    teacher = recipe.distill ? await compileTeacher(options, { batch, size }) : undefined;
    const compiled = { session, teacher, batch };
    while (epochOf(run) < recipe.epochs && sizeNow() === size)
      if ((await trainEpoch(run, compiled)) === 'stopped') return 'stopped';
    return 'done';
  } finally {
    session.dispose();
    teacher?.dispose();
  }
}

type Compiled = Pick<EpochContext, 'session' | 'teacher' | 'batch'>;

async function trainEpoch(run: Run, compiled: Compiled): Promise<TrainResult['ended']> {
  const { options, steps } = run;
  const keep = (): void => {
    run.state = new Map([...run.state, ...compiled.session.state()]);
  };
  const save = async (): Promise<void> => {
    keep();
    await writeLast(run);
  };
  const over = await runSteps({
    ...options,
    ...compiled,
    stepsPerEpoch: steps,
    progress: () => run.progress,
    advance: (progress) => {
      run.progress = progress;
    },
    save,
  });
  if (over) {
    keep();
    if (await endEpoch(run)) return 'done';
  }
  await save();
  return 'stopped';
}

/** Evaluates, then writes the best weights before the checkpoint that counts them in. @returns false when stopped */
async function endEpoch(run: Run): Promise<boolean> {
  const { options, progress } = run;
  const { config, store, signal } = options;
  const weights = evaluationWeights(parameterNames(run.net), run.state);
  const metrics = await evaluated(run, weights);
  if (metrics === 'stopped') return false;
  const row = metricsRow(run, metrics);
  const better = isBetter(row, progress.history[progress.bestEpoch - 1]);
  run.progress = {
    ...progress,
    sums: noSums,
    history: [...progress.history, row],
    bestEpoch: better ? row.epoch : progress.bestEpoch,
  };
  if (better) {
    run.best = weights;
    await store.write(
      runFiles.best,
      encodeRunCheckpoint({ config, progress: run.progress, state: run.state }),
    );
    await store.write(runFiles.model, deployFile(config, weights));
  }
  await writeLast(run);
  await writeMetrics(run);
  options.onEpoch?.(row, better);
  return signal?.aborted !== true || run.progress.history.length === config.recipe.epochs;
}

/** Undefined without pictures to validate on; a run that was stopped meanwhile evaluates again when it goes on. */
async function evaluated(
  { options }: Run,
  weights: Weights,
): Promise<ClassificationMetrics | undefined | 'stopped'> {
  const { config, data, signal } = options;
  if (data.validationCount === 0) return undefined;
  const { model, form, recipe } = config;
  const { size, resize } = recipe.evaluation;
  const batch = Math.min(batchOf(config), data.validationCount);
  try {
    const { forms } = await evaluateClassifier(
      { config: model, form, weights },
      data.validationBatches({ batch, size, resize }),
      { ...options, batch, height: size, width: size, labelOf: data.labelOf, mistakes: 0 },
    );
    return forms[0]?.metrics;
  } catch (error) {
    if (signal?.aborted === true && error === signal.reason) return 'stopped';
    throw error;
  }
}

function metricsRow(
  { options, progress, steps }: Run,
  metrics: ClassificationMetrics | undefined,
): MetricsRow {
  const { recipe } = options.config;
  const { sums, step, history } = progress;
  const { size, strength } = phaseAt(recipe.phases, history.length);
  const { rate, decay } = ratesAt(recipe, { step: step - 1, stepsPerEpoch: steps, epochs: recipe.epochs });
  return {
    epoch: history.length + 1,
    step,
    size,
    strength,
    rate,
    decay,
    trainLoss: sums.loss / sums.images,
    trainTop1: sums.correct / sums.images,
    loss: metrics?.loss ?? null,
    top1: metrics?.top1 ?? null,
    top5: metrics?.top5 ?? null,
    seconds: sums.seconds,
    imagesPerSecond: sums.images / Math.max(1e-9, sums.seconds),
    waitShare: sums.waitSeconds / Math.max(1e-9, sums.seconds),
  };
}

function writeLast({ options, progress, state }: Run): Promise<void> {
  const { config, store } = options;
  return store.write(runFiles.last, encodeRunCheckpoint({ config, progress, state }));
}

async function writeMetrics({ options, progress }: Run): Promise<void> {
  await options.store.write(runFiles.csv, metricsCsv(progress.history));
  await options.store.write(runFiles.jsonl, metricsJsonl(progress.history));
}
