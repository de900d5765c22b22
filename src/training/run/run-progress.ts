import * as v from 'valibot';
import { FormatError } from '../../errors.ts';

const number = v.number();
const nullable = v.nullable(number);

const rowEntries = {
  /** From 1. */
  epoch: number,
  /** Steps taken since the start of the run. */
  step: number,
  size: number,
  strength: number,
  /** Learning rate and weight decay of the epoch's last step. */
  rate: number,
  decay: number,
  /** Of training pictures as augmented, with the weights of each step. */
  trainLoss: number,
  /** Of the epoch's steps, without evaluation. */
  seconds: number,
  imagesPerSecond: number,
  /** Share of this time spent waiting for data. */
  waitShare: number,
};

const rowSchema = v.objectWithRest(rowEntries, nullable);

/**
 * One epoch in numbers: a line of `metrics.csv` and `metrics.jsonl`. Beside these a task's own, by the names of its
 * columns: `trainTop1`, `loss`, `top1`, `mIoU`, …; those of validation are null without pictures to validate on.
 */
export type MetricsRow = Readonly<v.InferOutput<typeof rowSchema>>;

/** In the order of files: what the task knows of an epoch stands after the loss. */
const columnsWith = (own: readonly string[]): readonly string[] => {
  const names = Object.keys(rowEntries);
  const after = names.indexOf('trainLoss') + 1;
  return [...names.slice(0, after), ...own, ...names.slice(after)];
};

const sumsSchema = v.strictObject({
  loss: number,
  /** Pictures told right, where a task counts them. */
  correct: number,
  images: number,
  seconds: number,
  waitSeconds: number,
});

/** Of the steps of the epoch that is under way. */
export type EpochSums = Readonly<v.InferOutput<typeof sumsSchema>>;

export const noSums: EpochSums = { loss: 0, correct: 0, images: 0, seconds: 0, waitSeconds: 0 };

const progressSchema = v.strictObject({
  version: v.literal(1),
  step: v.pipe(number, v.integer(), v.minValue(0)),
  sums: sumsSchema,
  history: v.array(rowSchema),
  /** The epoch whose weights are the best so far, from 1; 0 before the first. */
  bestEpoch: v.pipe(number, v.integer(), v.minValue(0)),
});

/** Where a run is, beside its tensors. Batches and rates follow from it and the configuration. */
export type Progress = Readonly<Omit<v.InferOutput<typeof progressSchema>, 'history'>> & {
  readonly history: readonly MetricsRow[];
};

export const freshProgress: Progress = { version: 1, step: 0, sums: noSums, history: [], bestEpoch: 0 };

/** @throws FormatError naming what is not as it should be */
export function checkProgress(value: unknown, where: string): Progress {
  const result = v.safeParse(progressSchema, value);
  if (result.success) return result.output;
  const faults = result.issues.map((issue) => `${v.getDotPath(issue) ?? 'value'}: ${issue.message}`);
  throw new FormatError(`${where}: ${faults.join('; ')}.`, { faults });
}

/** Whether an epoch is better than another: a greater deciding score, or the same with a smaller loss. */
export function isBetter(row: MetricsRow, than: MetricsRow | undefined, deciding: string): boolean {
  const [score, other] = [row[deciding] ?? null, than?.[deciding] ?? null];
  if (score === null || other === null) return true;
  if (score !== other) return score > other;
  return (row.loss ?? Number.POSITIVE_INFINITY) < (than?.loss ?? Number.POSITIVE_INFINITY);
}

/** All rows as CSV with a heading line; an empty cell where there is no number. @param own columns of the task */
export function metricsCsv(history: readonly MetricsRow[], own: readonly string[]): string {
  const columns = columnsWith(own);
  const lines = history.map((row) => columns.map((column) => row[column] ?? '').join(','));
  return `${[columns.join(','), ...lines].join('\n')}\n`;
}

export function metricsJsonl(history: readonly MetricsRow[], own: readonly string[]): string {
  const columns = columnsWith(own);
  const ordered = (row: MetricsRow) =>
    Object.fromEntries(columns.map((column) => [column, row[column] ?? null]));
  return history.map((row) => `${JSON.stringify(ordered(row))}\n`).join('');
}
