import * as v from 'valibot';
import { FormatError } from '../errors.ts';

const number = v.number();
const nullable = v.nullable(number);

const rowSchema = v.strictObject({
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
  trainTop1: number,
  /** Of validation pictures, with averaged weights in deploy form; null without any. */
  loss: nullable,
  top1: nullable,
  top5: nullable,
  /** Of the epoch's steps, without evaluation. */
  seconds: number,
  imagesPerSecond: number,
  /** Share of this time spent waiting for data. */
  waitShare: number,
});

/** One epoch in numbers: a line of `metrics.csv` and `metrics.jsonl`. */
export type MetricsRow = Readonly<v.InferOutput<typeof rowSchema>>;

const sumsSchema = v.strictObject({
  loss: number,
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

/** Whether an epoch is better than another: more right, or as many with a smaller loss. */
export function isBetter(row: MetricsRow, than: MetricsRow | undefined): boolean {
  if (than === undefined || row.top1 === null || than.top1 === null) return true;
  if (row.top1 !== than.top1) return row.top1 > than.top1;
  return (row.loss ?? Number.POSITIVE_INFINITY) < (than.loss ?? Number.POSITIVE_INFINITY);
}

/** All rows as CSV with a heading line; an empty cell where there is no number. */
export function metricsCsv(history: readonly MetricsRow[]): string {
  const columns = Object.keys(rowSchema.entries);
  const lines = history.map((row) => {
    const cells = new Map<string, number | null>(Object.entries(row));
    return columns.map((column) => cells.get(column) ?? '').join(',');
  });
  return `${[columns.join(','), ...lines].join('\n')}\n`;
}

export function metricsJsonl(history: readonly MetricsRow[]): string {
  return history.map((row) => `${JSON.stringify(row)}\n`).join('');
}
