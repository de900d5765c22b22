import { describeEvalTransform } from '../../image/eval-transform.ts';
import type { Fact, RunReport } from '../../report/run-report.ts';
import type { Weights } from '../../tensor/tensor.ts';
import type { RunConfig } from '../recipe/run-config.ts';
import type { LearningTask, TaskReport, TaskTools } from '../task/learning-task.ts';
import type { Progress } from './run-progress.ts';

export interface ReportSources extends TaskTools {
  readonly progress: Progress;
  /** Those of the best epoch. */
  readonly weights: Weights;
  /** Instead of judging the weights again; it may be of an earlier best epoch, and the report then says so. */
  readonly judged?: Judged;
}

export interface Judged {
  /** Whose weights. */
  readonly epoch: number;
  readonly parts: TaskReport;
}

/** All that is to be told about a run: its task judges the best weights and looks at pictures as it saw them. */
export async function runReport(
  task: LearningTask,
  { progress, weights, judged, ...tools }: ReportSources,
): Promise<RunReport> {
  const { config } = task;
  const { history, bestEpoch } = progress;
  const { headline, model, ...parts } = judged?.parts ?? (await task.report(weights, tools));
  const epochs = config.recipe.epochs;
  const status = history.length === epochs ? 'finished' : `epoch ${history.length} of ${epochs}`;
  const earlier = judged !== undefined && judged.epoch !== bestEpoch;
  return {
    title: config.name,
    status: earlier ? `${status}; scores and pictures of epoch ${judged.epoch}` : status,
    headline: [
      ...headline,
      ['best epoch', bestEpoch === 0 ? '–' : String(bestEpoch)],
      ['classes', String(config.labels.length)],
      ['pictures', `${config.data.train} + ${config.data.validation}`],
    ],
    history,
    ...(bestEpoch > 0 ? { bestEpoch } : {}),
    ...parts,
    model: { ...model, facts: [...model.facts, ...runFacts(config)] },
    speed: speedFacts(progress),
    config,
  };
}

function runFacts({ recipe, transform, from }: RunConfig): readonly Fact[] {
  return [
    ['started from', from ?? 'fresh weights'],
    ['recipe', `${recipe.name}, ${recipe.epochs} epochs, batch ${recipe.batch}`],
    ['pictures', describeEvalTransform(transform)],
  ];
}

function speedFacts({ history }: Progress): readonly Fact[] {
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
