import type { Dataset } from '../../data/dataset.ts';
import { toPicture } from '../../data/loader/to-picture.ts';
import type { NamedTensors } from '../../engine/engine.ts';
import { writeWeights } from '../../format/weights-file.ts';
import { graphCost } from '../../graph/cost.ts';
import { fitImage } from '../../image/apply-transform.ts';
import type { ImageDecoder } from '../../image/codec.ts';
import { buildMobileOne, inputName } from '../../model/mobileone.ts';
import type { FormCosts, Mistake, PictureSheet } from '../../report/run-report.ts';
import { evaluateClassifier, type FormEvaluation, type KeptMistake } from '../../task/evaluate-classifier.ts';
import { writeNetMetadata } from '../../task/net-metadata.ts';
import type { Tensor, Weights } from '../../tensor/tensor.ts';
import { reparameterize } from '../../transform/reparameterize.ts';
import type { TrainingBatch, TrainingData, TrainRequest } from '../batches/training-data.ts';
import { batchOf, type ClassifyConfig, type RunConfig, requireClassify } from '../recipe/run-config.ts';
import { phaseAt } from '../recipe/schedules.ts';
import { classifyLoss, targetsInput, teacherInput } from '../step/classify-step.ts';
import type { LearningBatch, LearningTask, StepShape, TaskReport, TaskTools } from './learning-task.ts';
import { taskScores } from './scores.ts';
import { compileTeacher, type Teacher } from './teacher.ts';

export interface ClassifySources {
  readonly data: TrainingData;
  /** Needed by recipes that distill. */
  readonly teacher?: Teacher;
  /** Validation pictures and who decodes them, to show what was taken for something else. */
  readonly pictures?: { readonly dataset: Dataset<number>; readonly decoder: ImageDecoder } | undefined;
}

/** Learning to tell pictures apart. @throws UsageError when the run learns something else */
export function classifyTask(given: RunConfig, sources: ClassifySources): LearningTask {
  const config = requireClassify(given);
  const { data, teacher } = sources;
  const { recipe, model, form, labels } = config;
  const evaluation = (weights: Weights, tools: TaskTools, mistakes: number) =>
    judged({ config, data, weights, tools, mistakes });
  return {
    config,
    scores: taskScores.classify,
    found: { train: data.trainCount, validation: data.validationCount, classes: data.classes },
    net: ({ batch, size }) => buildMobileOne(model, { form, batch, height: size, width: size }),
    addLoss: classifyLoss(recipe),
    guess: recipe.loss.kind === 'crossEntropy' ? Math.log(Math.max(2, labels.length)) : Math.LN2,
    trainBatches: (request) => namedBatches(data, request),
    right: (outputs, inputs) => agreeing(outputs.logits, inputs[targetsInput]),
    startPhase: (shape, tools) => teacherAnswers({ config, ...(teacher ? { teacher } : {}) }, shape, tools),
    evaluate: async (weights, tools) => {
      const metrics = (await evaluation(weights, tools, 0))?.metrics;
      return { loss: metrics?.loss ?? null, top1: metrics?.top1 ?? null, top5: metrics?.top5 ?? null };
    },
    deployFile: (weights) => classifierFile(config, weights),
    report: async (weights, tools) => {
      const found = data.validationCount > 0 ? await evaluation(weights, tools, shown) : undefined;
      return classifyReport(config, sources, found);
    },
  };
}

async function* namedBatches(data: TrainingData, request: TrainRequest): AsyncGenerator<LearningBatch> {
  for await (const { images, targets, release } of data.trainBatches(request))
    yield {
      inputs: { [inputName]: images, [targetsInput]: targets },
      ...(release ? { release } : {}),
    };
}

/** Pictures whose largest logit is that of their largest target. */
function agreeing(logits: Tensor | undefined, targets: Tensor | undefined): number {
  const classes = targets?.shape.at(-1) ?? 1;
  const truth = targets?.data ?? [];
  let count = 0;
  for (let start = 0; start < truth.length; start += classes)
    if (largest(logits?.data ?? [], start, classes) === largest(truth, start, classes)) count++;
  return count;
}

function largest(values: ArrayLike<number>, start: number, length: number): number {
  let best = 0;
  for (let i = 1; i < length; i++) if ((values[start + i] ?? 0) > (values[start + best] ?? 0)) best = i;
  return best;
}

async function teacherAnswers(
  sources: { readonly config: ClassifyConfig; readonly teacher?: Teacher },
  shape: StepShape,
  { engine, compile }: TaskTools,
) {
  if (!sources.config.recipe.distill)
    return { of: async (): Promise<NamedTensors> => ({}), dispose: () => undefined };
  const compiled = await compileTeacher({ ...sources, engine, ...(compile ? { compile } : {}) }, shape);
  return {
    of: async (inputs: NamedTensors): Promise<NamedTensors> => {
      const images = inputs[inputName];
      return images ? { [teacherInput]: await compiled.probabilities(images) } : {};
    },
    dispose: compiled.dispose,
  };
}

interface Judging {
  readonly config: ClassifyConfig;
  readonly data: TrainingData;
  readonly weights: Weights;
  readonly tools: TaskTools;
  readonly mistakes: number;
}

async function judged({
  config,
  data,
  weights,
  tools,
  mistakes,
}: Judging): Promise<FormEvaluation | undefined> {
  const { size, resize } = config.recipe.evaluation;
  const batch = Math.min(batchOf(config), data.validationCount);
  const { engine, compile, signal } = tools;
  const { forms } = await evaluateClassifier(
    { config: config.model, form: config.form, weights },
    data.validationBatches({ batch, size, resize }),
    {
      ...{ engine, batch, height: size, width: size, labelOf: data.labelOf, mistakes },
      ...(compile ? { compile } : {}),
      ...(signal ? { signal } : {}),
    },
  );
  return forms[0];
}

function classifierFile(config: ClassifyConfig, weights: Weights): Uint8Array {
  const { size } = config.recipe.evaluation;
  const graph = buildMobileOne(config.model, { form: config.form, height: size, width: size });
  const deploy = reparameterize({ graph, weights });
  return writeWeights(deploy.weights, 'mobileone', writeNetMetadata(config));
}

const shown = 24;

async function classifyReport(
  config: ClassifyConfig,
  sources: ClassifySources,
  found: FormEvaluation | undefined,
): Promise<TaskReport> {
  const percent = (share: number | null | undefined): string =>
    share === null || share === undefined ? '–' : `${(100 * share).toFixed(2)}%`;
  return {
    headline: [
      ['top-1', percent(found?.metrics.top1)],
      ['top-5', percent(found?.metrics.top5)],
    ],
    ...(found
      ? {
          evaluation: {
            metrics: found.metrics,
            classNames: config.labels,
            note: `deploy form, averaged weights, ${config.data.validation} pictures of ${config.data.name}`,
          },
          mistakes: await mistakePictures(found.mistakes, sources, config),
        }
      : {}),
    sheets: await augmentedSheet(config, sources.data),
    model: {
      facts: [['net', `${config.model.name}, k = ${config.model.branches}`]],
      forms: formCosts(config),
    },
  };
}

async function mistakePictures(
  mistakes: readonly KeptMistake[],
  { pictures }: ClassifySources,
  { transform }: ClassifyConfig,
): Promise<readonly Mistake[]> {
  const found: Mistake[] = [];
  for (const { index, ...mistake } of mistakes) {
    const name = pictures?.dataset.samples[index]?.path;
    if (pictures === undefined || name === undefined) continue;
    const bytes = await pictures.dataset.files.read(name);
    const image = fitImage(await pictures.decoder.decode(bytes, { name }), transform);
    found.push({ ...mistake, image, name });
  }
  return found;
}

/** What the last epoch began with: pictures as they are learned from. */
async function augmentedSheet(config: ClassifyConfig, data: TrainingData): Promise<readonly PictureSheet[]> {
  const epoch = config.recipe.epochs - 1;
  const { size, strength } = phaseAt(config.recipe.phases, epoch);
  const request = { epoch, from: 0, batch: batchOf(config), size, strength };
  for await (const batch of data.trainBatches(request)) {
    const pictures = batchPictures(batch, config);
    batch.release?.();
    return [
      {
        title: 'Augmented batch',
        note: `Training pictures as the net sees them: ${size}×${size}, strength of augmentation ${strength}.`,
        pictures,
      },
    ];
  }
  return [];
}

function batchPictures({ images, targets }: TrainingBatch, { transform, labels }: ClassifyConfig) {
  const [count = 0, height = 0, width = 0] = images.shape;
  const batch = { images: images.data, height, width, normalization: transform };
  return Array.from({ length: Math.min(count, shown) }, (_, row) => ({
    image: toPicture(batch, row),
    caption: namedShares(targets.data.subarray(row * labels.length, (row + 1) * labels.length), labels),
  }));
}

/** `cat`, or the shares of a mixture. */
function namedShares(targets: Float32Array | Float64Array, labels: readonly string[]): readonly string[] {
  const parts = Array.from(targets, (share, label) => ({ share, label })).filter(({ share }) => share > 0);
  return parts
    .sort((a, b) => b.share - a.share)
    .map(({ share, label }) => {
      const name = labels[label] ?? `class ${label}`;
      return parts.length === 1 ? name : `${name} ${(100 * share).toFixed(0)}%`;
    });
}

function formCosts({ model, form, recipe }: ClassifyConfig): readonly FormCosts[] {
  const { size } = recipe.evaluation;
  const forms = form === 'train' ? (['train', 'deploy'] as const) : (['deploy'] as const);
  return forms.map((one) => {
    const { parameters, macs } = graphCost(buildMobileOne(model, { form: one, height: size, width: size }));
    return { form: one, parameters, macs };
  });
}
