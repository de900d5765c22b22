import type { Dataset } from '../data/dataset.ts';
import { toPicture } from '../data/loader/to-picture.ts';
import { graphCost } from '../graph/cost.ts';
import { fitImage } from '../image/apply-transform.ts';
import type { ImageDecoder } from '../image/codec.ts';
import { describeEvalTransform } from '../image/eval-transform.ts';
import { buildMobileOne } from '../model/mobileone.ts';
import type { FormCosts, Mistake, PictureSheet, RunReport } from '../report/run-report.ts';
import { evaluateClassifier, type FormEvaluation, type KeptMistake } from '../task/evaluate-classifier.ts';
import type { Weights } from '../tensor/tensor.ts';
import { batchOf, type RunConfig } from './run-config.ts';
import type { Progress } from './run-progress.ts';
import { phaseAt } from './schedules.ts';
import type { TrainOptions } from './train.ts';
import type { TrainingData } from './training-data.ts';

export interface ReportSources extends Pick<TrainOptions, 'engine' | 'compile'> {
  readonly config: RunConfig;
  readonly progress: Progress;
  /** Those of the best epoch. */
  readonly weights: Weights;
  readonly data: TrainingData;
  /** Validation pictures and who decodes them, to show what was taken for something else. */
  readonly pictures?: { readonly dataset: Dataset<number>; readonly decoder: ImageDecoder } | undefined;
}

const shown = 24;

/** All that is to be told about a run: evaluates its best weights and looks at pictures as it saw them. */
export async function runReport(sources: ReportSources): Promise<RunReport> {
  const { config, progress, data } = sources;
  const { history, bestEpoch } = progress;
  const judged = data.validationCount > 0 ? await evaluation(sources) : undefined;
  const epochs = config.recipe.epochs;
  const percent = (share: number | null | undefined): string =>
    share === null || share === undefined ? '–' : `${(100 * share).toFixed(2)}%`;
  return {
    title: config.name,
    status: history.length === epochs ? 'finished' : `epoch ${history.length} of ${epochs}`,
    headline: [
      ['top-1', percent(judged?.metrics.top1)],
      ['top-5', percent(judged?.metrics.top5)],
      ['best epoch', bestEpoch === 0 ? '–' : String(bestEpoch)],
      ['classes', String(config.labels.length)],
      ['pictures', `${config.data.train} + ${config.data.validation}`],
    ],
    history,
    ...(bestEpoch > 0 ? { bestEpoch } : {}),
    ...(judged
      ? {
          evaluation: {
            metrics: judged.metrics,
            classNames: config.labels,
            note: `deploy form, averaged weights, ${config.data.validation} pictures of ${config.data.name}`,
          },
          mistakes: await mistakePictures(judged.mistakes, sources),
        }
      : {}),
    sheets: await augmentedSheet(config, data),
    model: { facts: modelFacts(config), forms: formCosts(config) },
    speed: speedFacts(progress),
    config,
  };
}

async function evaluation({
  config,
  weights,
  data,
  ...options
}: ReportSources): Promise<FormEvaluation | undefined> {
  const { size, resize } = config.recipe.evaluation;
  const batch = Math.min(batchOf(config), data.validationCount);
  const { forms } = await evaluateClassifier(
    { config: config.model, form: config.form, weights },
    data.validationBatches({ batch, size, resize }),
    { ...options, batch, height: size, width: size, labelOf: data.labelOf, mistakes: shown },
  );
  return forms[0];
}

async function mistakePictures(
  mistakes: readonly KeptMistake[],
  { pictures, config }: ReportSources,
): Promise<readonly Mistake[]> {
  const found: Mistake[] = [];
  for (const { index, ...mistake } of mistakes) {
    const name = pictures?.dataset.samples[index]?.path;
    if (pictures === undefined || name === undefined) continue;
    const bytes = await pictures.dataset.files.read(name);
    const image = fitImage(await pictures.decoder.decode(bytes, { name }), config.transform);
    found.push({ ...mistake, image, name });
  }
  return found;
}

/** What the last epoch began with: pictures as they are learned from. */
async function augmentedSheet(config: RunConfig, data: TrainingData): Promise<readonly PictureSheet[]> {
  const epoch = config.recipe.epochs - 1;
  const { size, strength } = phaseAt(config.recipe.phases, epoch);
  const request = { epoch, from: 0, batch: batchOf(config), size, strength };
  for await (const { images, targets, release } of data.trainBatches(request)) {
    const [count = 0, height = 0, width = 0] = images.shape;
    const batch = { images: images.data, height, width, normalization: config.transform };
    const pictures = Array.from({ length: Math.min(count, shown) }, (_, row) => ({
      image: toPicture(batch, row),
      caption: namedShares(
        targets.data.subarray(row * config.labels.length, (row + 1) * config.labels.length),
        config.labels,
      ),
    }));
    release?.();
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

function modelFacts({ model, recipe, transform, from }: RunConfig): readonly (readonly [string, string])[] {
  return [
    ['net', `${model.name}, k = ${model.branches}`],
    ['started from', from ?? 'fresh weights'],
    ['recipe', `${recipe.name}, ${recipe.epochs} epochs, batch ${recipe.batch}`],
    ['pictures', describeEvalTransform(transform)],
  ];
}

function formCosts({ model, form, recipe }: RunConfig): readonly FormCosts[] {
  const { size } = recipe.evaluation;
  const forms = form === 'train' ? (['train', 'deploy'] as const) : (['deploy'] as const);
  return forms.map((one) => {
    const { parameters, macs } = graphCost(buildMobileOne(model, { form: one, height: size, width: size }));
    return { form: one, parameters, macs };
  });
}

function speedFacts({ history }: Progress): readonly (readonly [string, string])[] {
  const seconds = history.reduce((sum, row) => sum + row.seconds, 0);
  const images = history.reduce((sum, row) => sum + row.imagesPerSecond * row.seconds, 0);
  const waited = history.reduce((sum, row) => sum + row.waitShare * row.seconds, 0);
  if (seconds === 0) return [];
  return [
    [
      'training',
      `${(images / seconds).toFixed(1)} pictures a second, ${(seconds / 60).toFixed(1)} minutes of steps`,
    ],
    ['waiting for data', `${((100 * waited) / seconds).toFixed(1)}% of it`],
  ];
}
