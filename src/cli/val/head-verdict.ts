import type { AnnotatedDataset } from '../../data/annotations/annotated.ts';
import type { AnnotationReport } from '../../data/annotations/check-annotations.ts';
import { classHeadings, classRows, statFacts } from '../../report/box-evaluation.ts';
import type { DetectionMetrics } from '../../task/evaluate-detector.ts';
import type { FormResult, HeadEvaluation } from '../../task/evaluate-head.ts';
import type { SegmentationMetrics } from '../../task/evaluate-segmenter.ts';
import type { ClassNaming } from '../../task/match-classes.ts';
import type { Terminal } from '../terminal.ts';
import { type Fact, facts, printable, table, wrap } from '../text/layout.ts';
import { percent } from '../text/numbers.ts';

export type Judged =
  | { readonly task: 'detect'; readonly evaluation: HeadEvaluation<DetectionMetrics> }
  | { readonly task: 'segment'; readonly evaluation: HeadEvaluation<SegmentationMetrics> };

/** An evaluation with what it was made of. */
export type HeadVerdict = Judged & {
  /** The net's name, and where it came from. */
  readonly model: string;
  readonly location: string;
  readonly engine: string;
  /** With the net's classes. */
  readonly dataset: AnnotatedDataset;
  readonly naming: ClassNaming;
  readonly report: AnnotationReport;
  /** The net's input. */
  readonly size: { readonly height: number; readonly width: number };
  readonly broken: readonly { readonly path: string; readonly reason: string }[];
};

/** The keys are stable; what is added later comes after them. */
export function headJson(verdict: HeadVerdict): string {
  const { model, location, engine, dataset, naming, report, broken, evaluation, task } = verdict;
  const { seconds, waitShare, count } = evaluation;
  const about = { model, weights: location, engine, data: dataset.name, task, naming, count };
  const rest = {
    annotations: { counts: report.counts, findings: report.findings },
    seconds,
    waitShare,
    broken,
  };
  return JSON.stringify({ ...about, forms: formsJson(verdict), ...rest });
}

/** COCO's id of the class beside ours, where the data gives it. */
const withId = <T extends { readonly label: number }>(one: T, { dataset }: Pick<HeadVerdict, 'dataset'>) => {
  const id = dataset.categoryIds?.[one.label];
  return id === undefined ? one : { ...one, categoryId: id };
};

function formsJson(verdict: HeadVerdict): readonly object[] {
  if (verdict.task === 'detect')
    return verdict.evaluation.forms.map(({ form, result: { stats, classes, count }, seconds }) => ({
      ...{ form, count, ...stats, classes: classes.map((one) => withId(one, verdict)) },
      secondsRunning: seconds,
    }));
  return verdict.evaluation.forms.map(({ form, result, seconds }) => {
    const { iou, classAccuracy, dice, confusion, worst: _, ...scores } = result;
    return {
      ...{ form, ...scores, iou, classAccuracy, dice, confusion: rowsOf(confusion) },
      secondsRunning: seconds,
    };
  });
}

const rowsOf = ({ classes, counts }: SegmentationMetrics['confusion']): readonly (readonly number[])[] =>
  Array.from({ length: classes }, (_, row) => [...counts.subarray(row * classes, (row + 1) * classes)]);

export function headText(verdict: HeadVerdict, { width, bold, dim }: Terminal): readonly string[] {
  const { model, dataset, evaluation } = verdict;
  const indented = (lines: readonly string[]): readonly string[] => lines.map((line) => `  ${line}`);
  const inside = width - 2;
  return [
    bold(`${printable(model)} on ${printable(dataset.name)}`),
    ...formFacts(verdict).flatMap((one) => ['', ...indented(facts(one, inside))]),
    ...classTable(verdict, inside).flatMap((line, i) =>
      i === 0 ? ['', bold('Classes, worst first'), `  ${line}`] : `  ${line}`,
    ),
    '',
    ...wrap(
      `${(evaluation.count / Math.max(1e-9, evaluation.seconds)).toFixed(1)} pictures a second with reading them; ${percent(evaluation.waitShare)} of the time waiting for pictures`,
      inside,
    ).map((line) => dim(`  ${line}`)),
  ];
}

function formFacts(verdict: HeadVerdict): readonly (readonly Fact[])[] {
  const { broken, size } = verdict;
  const unreadable = broken.length > 0 ? `, ${broken.length} unreadable` : '';
  const about = ({ form, result }: FormResult<{ readonly count: number }>): readonly Fact[] => [
    ['form', `${form}, ${size.width}×${size.height} pixels`],
    ['pictures', `${result.count}${unreadable}`],
  ];
  if (verdict.task === 'detect')
    return verdict.evaluation.forms.map((one) => [...about(one), ...statFacts(one.result.stats)]);
  return verdict.evaluation.forms.map((one) => [
    ...about(one),
    ['mean IoU', `${percent(one.result.meanIou)} (absent classes: ${one.result.absent})`],
    ['pixel accuracy', percent(one.result.pixelAccuracy)],
    ['mean class accuracy', percent(one.result.meanAccuracy)],
  ]);
}

function classTable(verdict: HeadVerdict, width: number): readonly string[] {
  const right = (heading: string) => ({ heading, align: 'right' as const });
  if (verdict.task === 'detect') {
    const [first, ...others] = classHeadings;
    const result = verdict.evaluation.forms.at(-1)?.result;
    const rows = classRows(result ?? { classes: [] }).map(([name = '', ...rest]) => [
      printable(name),
      ...rest,
    ]);
    return table([{ heading: first, least: 12 }, ...others.map(right)], rows, width);
  }
  const result = verdict.evaluation.forms.at(-1)?.result;
  const share = (value: number | null | undefined): string =>
    typeof value === 'number' ? percent(value) : '–';
  const rows = verdict.dataset.classes
    .map((name, label) => ({ name, iou: result?.iou[label] ?? null, label }))
    .filter(({ iou }) => iou !== null)
    .sort((a, b) => (a.iou ?? 0) - (b.iou ?? 0))
    .map(({ name, iou, label }) => [
      printable(name),
      share(iou),
      share(result?.classAccuracy[label]),
      share(result?.dice[label]),
    ]);
  return table([{ heading: 'class', least: 12 }, ...['IoU', 'found', 'Dice'].map(right)], rows, width);
}
