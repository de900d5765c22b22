import type { CompileOptions, Engine } from '../../engine/engine.ts';
import { UsageError } from '../../errors.ts';
import { type CheckedGraph, valueAt } from '../../graph/graph.ts';
import type { Weights } from '../../tensor/tensor.ts';
import { batchOf, type RunConfig, stepsPerEpoch } from '../recipe/run-config.ts';
import { phaseAt } from '../recipe/schedules.ts';
import { learningStep, ratesAt } from '../step/learning-step.ts';
import { evaluationWeights, isPassing } from '../step/update-step.ts';
import type { LearningTask, PhaseInputs } from '../task/learning-task.ts';
import { type EpochContext, runSteps, type StepReport } from './epoch.ts';
import { encodeRunCheckpoint, type RunCheckpoint, readRunCheckpoint } from './run-checkpoint.ts';
import { runFiles } from './run-files.ts';
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

export interface LearnOptions {
  readonly engine: Engine;
  readonly compile?: CompileOptions;
  /** Weights to start with, by the names of the task's net; left out where a run goes on. */
  readonly weights?: Weights;
  /** Goes on from here: `readRun` finds it in a store. */
  readonly from?: RunCheckpoint;
  readonly store: RunStore;
  /** Ends the run after the step under way, with a checkpoint. */
  readonly signal?: AbortSignal;
  /** A checkpoint in the middle of an epoch after so long; default 600. */
  readonly checkpointSeconds?: number;
  readonly onStep?: (report: StepReport) => void;
  /** The next epoch waits for what this returns. */
  readonly onEpoch?: (row: MetricsRow, isBest: boolean, run: RunSoFar) => unknown;
}

export interface TrainResult {
  /** `stopped`: by the signal; the run can go on from its checkpoint. */
  readonly ended: 'done' | 'stopped';
  readonly config: RunConfig;
  readonly progress: Progress;
  /** The best epoch's weights, or the latest before the first epoch is over; by the net's names. */
  readonly weights: Weights;
}

/** What a run has come to by now. */
export type RunSoFar = Pick<TrainResult, 'progress' | 'weights'>;

/** One run under way. */
interface Run {
  readonly task: LearningTask;
  readonly options: LearnOptions;
  readonly net: CheckedGraph;
  readonly steps: number;
  /** The net's weights and, once there was a step, all it remembers. */
  state: Weights;
  progress: Progress;
  best: Weights | undefined;
  begun: boolean;
}

/**
 * Trains a net and keeps the store up to date: `config.json`, `metrics.csv`, `metrics.jsonl`, checkpoints
 * `last.safetensors` and `best.safetensors`, and `model.safetensors`, the best weights in deploy form. The same
 * configuration and data give the same numbers on one engine, also when the run was stopped and went on.
 * @throws EngineError when the engine cannot compute with the recipe's precision; TrainingError when the loss is no number any more or a file cannot be written; what was written before is
 *   whole
 */
export async function learn(task: LearningTask, options: LearnOptions): Promise<TrainResult> {
  const run = await openRun(task, options);
  const { config } = task;
  let ended: TrainResult['ended'] = 'done';
  while (ended === 'done' && epochOf(run) < config.recipe.epochs) ended = await trainPhase(run);
  await begin(run);
  return { ended, config, ...soFar(run) };
}

function soFar({ progress, best, net, state }: Run): RunSoFar {
  return { progress, weights: best ?? evaluationWeights(parameterNames(net), state) };
}

/** The first files, once the engine has taken the step: one that it refuses leaves nothing behind. */
async function begin(run: Run): Promise<void> {
  if (run.begun) return;
  run.begun = true;
  await run.options.store.write(runFiles.config, `${JSON.stringify(run.task.config, null, 2)}\n`);
  await writeMetrics(run);
}

async function openRun(task: LearningTask, options: LearnOptions): Promise<Run> {
  const { config } = task;
  checkData(task);
  const last = config.recipe.phases.at(-1);
  const net = task.net({ batch: 1, size: last?.size ?? 224 });
  const { from } = options;
  const weights = from?.state ?? options.weights;
  if (weights === undefined)
    throw new UsageError(
      'train: expected weights to start with, or a checkpoint to go on from; found neither.',
    );
  const best = from && from.progress.bestEpoch > 0 ? await bestWeights(options.store, net) : undefined;
  return {
    task,
    options,
    net,
    steps: stepsPerEpoch(config),
    state: weights,
    progress: from?.progress ?? freshProgress,
    best,
    begun: false,
  };
}

function checkData({ config, found }: LearningTask): void {
  const { accumulate } = config.recipe;
  if (stepsPerEpoch(config) < 1)
    throw new UsageError(
      `data "${config.data.name}": ${config.data.train} training pictures are too few for a step in ${accumulate} parts (accumulate).`,
    );
  const wanted = { ...config.data, classes: config.labels.length };
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
  const { task, options } = run;
  const { config } = task;
  const { recipe } = config;
  const batch = batchOf(config);
  const sizeNow = (): number => phaseAt(recipe.phases, epochOf(run)).size;
  const size = sizeNow();
  const step = learningStep({ graph: task.net({ batch, size }), weights: run.state }, recipe, task.addLoss);
  const precision = { precision: recipe.precision };
  const session = await options.engine.compile(step.graph, step.weights, {
    ...options.compile,
    ...precision,
  });
  let phase: PhaseInputs | undefined;
  try {
    await begin(run);
    phase = await task.startPhase?.({ batch, size }, options);
    const compiled = { session, phase, batch };
    while (epochOf(run) < recipe.epochs && sizeNow() === size)
      if ((await trainEpoch(run, compiled)) === 'stopped') return 'stopped';
    return 'done';
  } finally {
    session.dispose();
    phase?.dispose();
  }
}

type Compiled = Pick<EpochContext, 'session' | 'phase' | 'batch'>;

async function trainEpoch(run: Run, compiled: Compiled): Promise<TrainResult['ended']> {
  const { task, options, steps } = run;
  const keep = (): void => {
    const lasting = [...compiled.session.state()].filter(([name]) => !isPassing(name));
    run.state = new Map([...run.state, ...lasting]);
  };
  const save = async (): Promise<void> => {
    keep();
    await writeLast(run);
  };
  const over = await runSteps({
    ...options,
    ...compiled,
    task,
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
  const { task, options, progress } = run;
  const { store, signal } = options;
  const { config } = task;
  const weights = evaluationWeights(parameterNames(run.net), run.state);
  const scores = await evaluated(run, weights);
  if (scores === 'stopped') return false;
  const row = metricsRow(run, scores);
  const better = isBetter(row, progress.history[progress.bestEpoch - 1], task.scores.deciding);
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
    await store.write(runFiles.model, task.deployFile(weights));
  }
  await writeLast(run);
  await writeMetrics(run);
  await options.onEpoch?.(row, better, soFar(run));
  return signal?.aborted !== true || run.progress.history.length === config.recipe.epochs;
}

/** Nothing without pictures to validate on; a run that was stopped meanwhile evaluates again when it goes on. */
async function evaluated(
  { task, options }: Run,
  weights: Weights,
): Promise<Readonly<Record<string, number | null>> | 'stopped'> {
  const { signal } = options;
  if (task.found.validation === 0) return {};
  try {
    return await task.evaluate(weights, options);
  } catch (error) {
    if (signal?.aborted === true && error === signal.reason) return 'stopped';
    throw error;
  }
}

function metricsRow(
  { task, progress, steps }: Run,
  scores: Readonly<Record<string, number | null>>,
): MetricsRow {
  const { recipe } = task.config;
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
    seconds: sums.seconds,
    imagesPerSecond: sums.images / Math.max(1e-9, sums.seconds),
    waitShare: sums.waitSeconds / Math.max(1e-9, sums.seconds),
    ...Object.fromEntries(task.scores.training.map((name) => [name, sums.correct / sums.images])),
    ...Object.fromEntries(task.scores.validation.map((name) => [name, scores[name] ?? null])),
  };
}

function writeLast({ task, options, progress, state }: Run): Promise<void> {
  const { config } = task;
  return options.store.write(runFiles.last, encodeRunCheckpoint({ config, progress, state }));
}

async function writeMetrics({ task, options, progress }: Run): Promise<void> {
  const own = [...task.scores.training, ...task.scores.validation];
  await options.store.write(runFiles.csv, metricsCsv(progress.history, own));
  await options.store.write(runFiles.jsonl, metricsJsonl(progress.history, own));
}
