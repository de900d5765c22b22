import type { ClassDataset } from '../data/dataset.ts';
import type { ImageDecoder } from '../image/codec.ts';
import type { PictureSheet, RunReport } from '../report/run-report.ts';
import { evaluateClassifier, type FormEvaluation } from '../task/evaluate-classifier.ts';
import type { Weights } from '../tensor/tensor.ts';
import { batchOf, type RunConfig } from './run-config.ts';
import type { Progress } from './run-progress.ts';
import { phaseAt } from './schedules.ts';
import type { TrainOptions } from './train.ts';
import type { TrainingData } from './training-data.ts';
import { augmentedSheet, openMistakes, trainingReport } from './training-report.ts';

export interface ReportSources extends Pick<TrainOptions, 'engine' | 'compile'> {
  readonly config: RunConfig;
  readonly progress: Progress;
  /** Those of the best epoch. */
  readonly weights: Weights;
  readonly data: TrainingData;
  /** Validation pictures and who decodes them, to show what was taken for something else. */
  readonly pictures?: { readonly dataset: ClassDataset; readonly decoder: ImageDecoder } | undefined;
}

const shownMistakes = 24;

/** All that is to be told about a run: judges its best weights once more and looks at pictures as it saw them. */
export async function runReport(sources: ReportSources): Promise<RunReport> {
  const { config, progress, data, pictures } = sources;
  const judged = data.validationCount > 0 ? await judgeBest(sources) : undefined;
  return trainingReport({
    config,
    progress,
    ...(progress.history.length === config.recipe.epochs ? { status: 'finished' } : {}),
    metrics: judged?.metrics,
    ...(judged && pictures
      ? { mistakes: await openMistakes(judged.mistakes, pictures.dataset, pictures.decoder) }
      : {}),
    sheets: await lastEpochSheet(config, data),
  });
}

async function judgeBest({
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
    { ...options, batch, height: size, width: size, labelOf: data.labelOf, mistakes: shownMistakes },
  );
  return forms[0];
}

/** What the last epoch begins with: pictures at their largest and most changed. */
async function lastEpochSheet(config: RunConfig, data: TrainingData): Promise<readonly PictureSheet[]> {
  const epoch = config.recipe.epochs - 1;
  const { size, strength } = phaseAt(config.recipe.phases, epoch);
  for await (const batch of data.trainBatches({ epoch, from: 0, batch: batchOf(config), size, strength })) {
    const sheet = augmentedSheet(batch, config);
    batch.release?.();
    return [sheet];
  }
  return [];
}
