import type { CompileOptions, Engine, Session } from '../engine/engine.ts';
import { UsageError } from '../errors.ts';
import { type ClassificationMetrics, classificationMeter } from '../metrics/classification.ts';
import { keepMost } from '../metrics/keep-most.ts';
import type { Form } from '../model/block.ts';
import type { MobileOneConfig } from '../model/config.ts';
import { buildMobileOne, inputName } from '../model/mobileone.ts';
import type { Weights } from '../tensor/tensor.ts';
import { reparameterize } from '../transform/reparameterize.ts';
import { type Pass, type PassOptions, passOver } from './pass-over.ts';

/** Prepared pictures, as a loader gives them. */
export interface PreparedBatch {
  /** [batch, height, width, 3], normalized */
  readonly images: Float32Array;
  /** Which sample each row is; −1 for rows that are none. */
  readonly indices: ArrayLike<number>;
  /** Called when the arrays are not needed any more. */
  readonly release?: () => void;
}

export interface EvaluateOptions extends PassOptions {
  readonly engine: Engine;
  readonly compile?: CompileOptions;
  /** What runs; default the deploy form alone. */
  readonly forms?: readonly Form[];
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  /** The truth about a sample. */
  readonly labelOf: (index: number) => number;
  /** How many of the most confident mistakes to keep; default 24. */
  readonly mistakes?: number;
}

export interface KeptMistake {
  /** Of the sample. */
  readonly index: number;
  readonly truth: number;
  readonly predicted: number;
  readonly probability: number;
  readonly truthProbability: number;
}

export interface FormEvaluation {
  readonly form: Form;
  readonly metrics: ClassificationMetrics;
  /** Most confident first. */
  readonly mistakes: readonly KeptMistake[];
  /** Time the net ran. */
  readonly seconds: number;
}

export interface NetEvaluation extends Omit<Pass, 'count'> {
  readonly forms: readonly FormEvaluation[];
  /** Of two forms: how far their probabilities lie apart at most, and on how many pictures their answers differ. */
  readonly agreement: { readonly probability: number; readonly answers: number } | undefined;
}

interface RunningForm {
  readonly form: Form;
  readonly session: Session;
  readonly meter: ReturnType<typeof classificationMeter>;
  readonly mistakes: ReturnType<typeof keepMost<KeptMistake>>;
  seconds: number;
}

/**
 * Judges a net by labelled pictures, in one form or both at once on the same batches.
 * @throws UsageError for the train form of deploy-form weights; the signal's reason after an abort
 */
export async function evaluateClassifier(
  net: { readonly config: MobileOneConfig; readonly form: Form; readonly weights: Weights },
  batches: AsyncIterable<PreparedBatch>,
  options: EvaluateOptions,
): Promise<NetEvaluation> {
  const { forms = ['deploy'] } = options;
  const running: RunningForm[] = [];
  const differences = { probability: 0, answers: 0 };
  try {
    for (const form of forms) running.push(await startForm(net, form, options));
    const { seconds, waitShare } = await passOver(batches, options, async (batch) => {
      const answers = await judge(running, batch, net.config.classes, options);
      compare(answers, net.config.classes, batch.indices, differences);
    });
    return {
      forms: running.map(({ form, meter, mistakes, seconds: ran }) => ({
        form,
        metrics: meter.result(),
        mistakes: mistakes.items(),
        seconds: ran,
      })),
      agreement: running.length > 1 ? differences : undefined,
      seconds,
      waitShare,
    };
  } finally {
    for (const { session } of running) session.dispose();
  }
}

async function startForm(
  { config, form: given, weights }: Parameters<typeof evaluateClassifier>[0],
  form: Form,
  { batch, height, width, engine, compile, mistakes = 24 }: EvaluateOptions,
): Promise<RunningForm> {
  if (form === 'train' && given === 'deploy')
    throw new UsageError(
      `${config.name}: the weights are in deploy form; their branches are gone and cannot be evaluated.`,
    );
  const graph = buildMobileOne(config, { form: given, batch, height, width, outputs: ['probabilities'] });
  const net = form === given ? { graph, weights } : reparameterize({ graph, weights });
  return {
    form,
    session: await engine.compile(net.graph, net.weights, compile),
    meter: classificationMeter(config.classes),
    mistakes: keepMost<KeptMistake>(mistakes),
    seconds: 0,
  };
}

/** @returns each form's probabilities, [batch, classes] */
async function judge(
  running: readonly RunningForm[],
  { images, indices }: PreparedBatch,
  classes: number,
  { batch, height, width, labelOf }: EvaluateOptions,
): Promise<readonly Float32Array[]> {
  const input = { shape: [batch, height, width, 3], data: images };
  const all: Float32Array[] = [];
  for (const one of running) {
    const start = performance.now();
    const { probabilities } = await one.session.run({ [inputName]: input });
    one.seconds += (performance.now() - start) / 1000;
    const data = Float32Array.from(probabilities?.data ?? []);
    for (let row = 0; row < indices.length; row++) {
      const index = indices[row] ?? -1;
      if (index < 0) continue;
      const truth = labelOf(index);
      const shares = data.subarray(row * classes, (row + 1) * classes);
      const { predicted, probability, rank } = one.meter.add(shares, truth);
      if (rank === 0 || predicted < 0) continue;
      one.mistakes.offer(probability, {
        index,
        truth,
        predicted,
        probability,
        truthProbability: shares[truth] ?? 0,
      });
    }
    all.push(data);
  }
  return all;
}

function compare(
  [first, second]: readonly Float32Array[],
  classes: number,
  indices: ArrayLike<number>,
  differences: { probability: number; answers: number },
): void {
  if (!first || !second) return;
  for (let row = 0; row < indices.length; row++) {
    if ((indices[row] ?? -1) < 0) continue;
    let [best, other] = [0, 0];
    for (let c = 0; c < classes; c++) {
      const [a, b] = [first[row * classes + c] ?? 0, second[row * classes + c] ?? 0];
      differences.probability = Math.max(differences.probability, Math.abs(a - b)); // NaN stays NaN
      if (a > (first[row * classes + best] ?? 0)) best = c;
      if (b > (second[row * classes + other] ?? 0)) other = c;
    }
    if (best !== other) differences.answers++;
  }
}
