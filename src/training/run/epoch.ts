import type { NamedTensors, Session } from '../../engine/engine.ts';
import { TrainingError } from '../../errors.ts';
import type { RunConfig } from '../recipe/run-config.ts';
import { type Moment, phaseAt } from '../recipe/schedules.ts';
import { type Rates, ratesAt, type StepPart, stepInputs } from '../step/learning-step.ts';
import type { LearningBatch, LearningTask, PhaseInputs } from '../task/learning-task.ts';
import { type EpochSums, noSums, type Progress } from './run-progress.ts';

/** One step, as it is shown to whoever watches. */
export interface StepReport extends Rates {
  /** From 1. */
  readonly epoch: number;
  readonly epochs: number;
  /** Steps of this epoch so far, and in all. */
  readonly step: number;
  readonly stepsPerEpoch: number;
  readonly size: number;
  readonly loss: number;
  /** Means over the epoch so far. */
  readonly meanLoss: number;
  /** Share of pictures told right, where the task counts them. */
  readonly top1?: number;
  readonly imagesPerSecond: number;
  readonly waitShare: number;
}

export interface EpochContext {
  readonly task: LearningTask;
  readonly session: Session;
  readonly phase: PhaseInputs | undefined;
  readonly batch: number;
  readonly stepsPerEpoch: number;
  readonly signal?: AbortSignal | undefined;
  readonly checkpointSeconds?: number | undefined;
  readonly onStep?: ((report: StepReport) => void) | undefined;
  readonly progress: () => Progress;
  readonly advance: (progress: Progress) => void;
  /** Writes a checkpoint of the progress. */
  readonly save: () => Promise<void>;
}

/** Parts of a step so far: how many, what counts in them, and their losses weighed by it. */
const noParts = { count: 0, counted: 0, loss: 0 };

const defaultCheckpointSeconds = 600;
const now = (): number => performance.now() / 1000;

/**
 * Runs what is left of the epoch under way.
 * @returns whether the epoch is over; false when the signal ended it before
 * @throws TrainingError when the loss is no number, or far from where it began
 */
export async function runSteps(context: EpochContext): Promise<boolean> {
  const { task, batch, stepsPerEpoch, signal } = context;
  const { config } = task;
  const { accumulate } = config.recipe;
  const epoch = context.progress().history.length;
  const from = context.progress().step - epoch * stepsPerEpoch;
  if (from >= stepsPerEpoch) return true;
  if (signal?.aborted) return false;
  const { size, strength } = phaseAt(config.recipe.phases, epoch);
  const watch = lossWatch(context);
  const turn = turnTaker();
  let outputs: NamedTensors | undefined;
  let parts = noParts;
  let pending = noSums;
  let last = now();
  let saved = last;
  for await (const one of task.trainBatches({ epoch, from: from * accumulate, batch, size, strength })) {
    const arrived = now();
    if (context.progress().step === (epoch + 1) * stepsPerEpoch) {
      // Parts that are over: too few for one more step.
      one.release?.();
      continue;
    }
    const own = accumulate > 1 ? (one.counted?.() ?? 1) : 1;
    const part = { before: parts.counted, own, ends: parts.count === accumulate - 1 };
    outputs = await runStep(context, one, part, outputs);
    await turn();
    const done = now();
    const partLoss = outputs.loss?.data[0] ?? Number.NaN;
    watch(partLoss);
    parts = {
      count: parts.count + 1,
      counted: parts.counted + own,
      loss: parts.loss + own * partLoss,
    };
    pending = added(pending, {
      loss: 0,
      correct: task.right?.(outputs, one.inputs) ?? 0,
      images: batch,
      seconds: done - last,
      waitSeconds: arrived - last,
    });
    one.release?.();
    last = done;
    if (!part.ends) continue;
    const progress = context.progress();
    const loss = parts.counted > 0 ? parts.loss / parts.counted : 0;
    const sums = added(progress.sums, { ...pending, loss });
    [parts, pending] = [noParts, noSums];
    context.advance({ ...progress, step: progress.step + 1, sums });
    context.onStep?.(report(context, { epoch, size, loss }));
    if (signal?.aborted) return context.progress().step === (epoch + 1) * stepsPerEpoch;
    if (done - saved > (context.checkpointSeconds ?? defaultCheckpointSeconds)) {
      await context.save();
      saved = now();
      last = saved;
    }
  }
  return true;
}

/** Lets other work of this thread have its turn now and then: without it Ctrl-C would never be heard. */
function turnTaker(): () => Promise<void> {
  let last = now();
  return async () => {
    if (now() - last < 0.05) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
    last = now();
  };
}

async function runStep(
  { task: { config }, session, phase, stepsPerEpoch, progress }: EpochContext,
  { inputs: given }: LearningBatch,
  part: StepPart,
  outputs: NamedTensors | undefined,
): Promise<NamedTensors> {
  const inputs = {
    ...given,
    ...(await phase?.of(given)),
    ...stepInputs(config.recipe, momentOf(config, progress().step, stepsPerEpoch), part),
  };
  return session.run(inputs, outputs);
}

function momentOf({ recipe }: RunConfig, step: number, stepsPerEpoch: number): Moment {
  return { step, stepsPerEpoch, epochs: recipe.epochs };
}

function added(sums: EpochSums, one: EpochSums): EpochSums {
  return {
    loss: sums.loss + one.loss * one.images,
    correct: sums.correct + one.correct,
    images: sums.images + one.images,
    seconds: sums.seconds + one.seconds,
    waitSeconds: sums.waitSeconds + one.waitSeconds,
  };
}

function report(context: EpochContext, one: { epoch: number; size: number; loss: number }): StepReport {
  const { task, stepsPerEpoch } = context;
  const { config } = task;
  const { step, sums } = context.progress();
  return {
    ...ratesAt(config.recipe, momentOf(config, step - 1, stepsPerEpoch)),
    epoch: one.epoch + 1,
    epochs: config.recipe.epochs,
    step: step - one.epoch * stepsPerEpoch,
    stepsPerEpoch,
    size: one.size,
    loss: one.loss,
    meanLoss: sums.loss / sums.images,
    ...(task.right ? { top1: sums.correct / sums.images } : {}),
    imagesPerSecond: sums.images / Math.max(1e-9, sums.seconds),
    waitShare: sums.waitSeconds / Math.max(1e-9, sums.seconds),
  };
}

/** A run whose mean loss stays this many times above that of guesses learns nothing any more. */
const diverged = { times: 20, steps: 50 } as const;

/** Looks at every loss, and at their mean. */
function lossWatch({ task, stepsPerEpoch, progress }: EpochContext): (loss: number) => void {
  const { config, guess: guessing } = task;
  let [mean, above] = [guessing, 0];
  return (loss) => {
    mean += (loss - mean) / 20;
    above = mean > diverged.times * guessing ? above + 1 : 0;
    if (Number.isFinite(loss) && above < diverged.steps) return;
    const { step, history } = progress();
    const { rate } = ratesAt(config.recipe, momentOf(config, step, stepsPerEpoch));
    const what = Number.isFinite(loss) ? `has grown to ${mean.toPrecision(3)}` : `is ${loss}`;
    throw new TrainingError(
      `training: the loss ${what} in epoch ${history.length + 1}, step ${step + 1 - history.length * stepsPerEpoch} of ${stepsPerEpoch} (learning rate ${rate.toPrecision(3)}). Expected it to fall from ${guessing.toPrecision(3)}, which guesses have. The checkpoints are those of before; start again with a lower rate.base, a longer rate.warmUp or a limit such as clip=1.`,
      { loss, step, rate },
    );
  };
}
