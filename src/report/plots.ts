import type { ClassMetrics } from '../metrics/confusion.ts';
import { barPlot } from './bar-plot.ts';
import { confusionPlot } from './heat-map.ts';
import { type LineSeries, linePlot } from './line-plot.ts';
import type { Markup } from './markup.ts';
import type { EpochRow, Evaluation, PixelEvaluation } from './run-report.ts';
import type { ScaleKind } from './scale.ts';

/** A plot and the file name it gets. */
export interface NamedPlot {
  readonly name: string;
  readonly svg: Markup;
}

interface Chart {
  readonly name: string;
  readonly title: string;
  readonly lines: readonly (readonly [column: string, name: string])[];
  readonly percent?: boolean;
  readonly yScale?: ScaleKind;
  readonly fromZero?: boolean;
}

/** Which columns are drawn together. */
const charts: readonly Chart[] = [
  {
    name: 'loss',
    title: 'Loss',
    lines: [
      ['trainLoss', 'training, augmented'],
      ['loss', 'validation'],
    ],
  },
  {
    name: 'accuracy',
    title: 'Accuracy',
    percent: true,
    lines: [
      ['trainTop1', 'training, augmented'],
      ['top1', 'validation top-1'],
      ['top5', 'top-5'],
    ],
  },
  {
    name: 'pixels',
    title: 'Pixels told right, validation',
    percent: true,
    lines: [
      ['mIoU', 'mIoU'],
      ['pixelAccuracy', 'pixel accuracy'],
      ['meanAccuracy', 'mean class accuracy'],
    ],
  },
  {
    name: 'precision',
    title: 'Average precision, validation',
    percent: true,
    lines: [
      ['mAP', 'mAP'],
      ['mAP50', 'mAP50'],
      ['mAP75', 'mAP75'],
    ],
  },
  { name: 'learning-rate', title: 'Learning rate', lines: [['rate', 'learning rate']] },
  { name: 'weight-decay', title: 'Weight decay', lines: [['decay', 'weight decay']] },
  { name: 'picture-size', title: 'Side of training pictures, pixels', lines: [['size', 'size']] },
  { name: 'strength', title: 'Strength of augmentation', lines: [['strength', 'strength']] },
  {
    name: 'speed',
    title: 'Pictures a second',
    fromZero: true,
    lines: [['imagesPerSecond', 'pictures a second']],
  },
];

/** Columns that say nothing when they stay the same. */
const onlyIfChanging = new Set(['decay', 'size', 'strength']);

/** Where the best epoch is marked. */
const markedCharts = new Set(['loss', 'accuracy', 'pixels', 'precision']);

/** One plot for each chart whose columns have numbers. */
export function historyPlots(history: readonly EpochRow[], bestEpoch?: number): readonly NamedPlot[] {
  return charts.flatMap(({ name, title, lines, ...style }) => {
    const series = lines.flatMap(([column, label]): LineSeries[] => {
      const points = history.flatMap((row) => {
        const value = row[column];
        return typeof value === 'number' && Number.isFinite(value) ? [[row.epoch, value] as const] : [];
      });
      const still = onlyIfChanging.has(column) && new Set(points.map(([, value]) => value)).size < 2;
      return points.length === 0 || still ? [] : [{ name: label, points }];
    });
    if (series.length === 0) return [];
    const marked = bestEpoch !== undefined && markedCharts.has(name);
    const marks = marked ? { marks: [{ x: bestEpoch, label: 'best' }] } : {};
    return [{ name, svg: linePlot({ title, xLabel: 'epoch', series, ...style, ...marks }) }];
  });
}

/** Beyond this a plot shows the worst only. */
const mostBars = 40;

/** Whether a class has examples or was named: of a net's thousand classes, a small data set concerns a few. */
export const isSeen = ({ support, predicted }: ClassMetrics): boolean => support > 0 || predicted > 0;

/** Recall of every class, worst first, and the confusion matrix. */
export function evaluationPlots({ metrics, classNames }: Evaluation): readonly NamedPlot[] {
  const present = metrics.classes.filter(({ support }) => support > 0);
  const worst = [...present].sort((a, b) => (a.recall ?? 0) - (b.recall ?? 0)).slice(0, mostBars);
  if (worst.length === 0) return [];
  const bars = worst.map(({ label, support, recall }) => ({
    name: classNames[label] ?? `class ${label}`,
    value: recall,
    note: `${Math.round((recall ?? 0) * support)} of ${support}`,
  }));
  const mean = metrics.macro.recall;
  const title = present.length > mostBars ? `Accuracy by class, the worst ${mostBars}` : 'Accuracy by class';
  const reference =
    mean === null ? {} : { reference: { value: mean, label: `mean ${(100 * mean).toFixed(1)}%` } };
  const seen = metrics.classes.filter(isSeen).map(({ label }) => label);
  const confusion = {
    title: 'Confusion matrix',
    matrix: seen.map((truth) => seen.map((answer) => metrics.confusion[truth]?.[answer] ?? 0)),
    classNames: seen.map((label) => classNames[label] ?? `class ${label}`),
  };
  return [
    { name: 'classes', svg: barPlot({ title, bars, ...reference }) },
    { name: 'confusion', svg: confusionPlot(confusion) },
  ];
}

/** IoU of every class, worst first, and what pixels were taken for, in per cent of their class. */
export function pixelPlots({ scores, confusion, classNames }: PixelEvaluation): readonly NamedPlot[] {
  const named = classNames.map((name, label) => ({ name, label, value: scores.iou[label] ?? null }));
  const bars = named
    .filter(({ value }) => value !== null)
    .sort((a, b) => (a.value ?? 0) - (b.value ?? 0))
    .slice(0, mostBars);
  if (bars.length === 0) return [];
  const mean = scores.meanIou;
  const reference = { value: mean, label: `mean ${(100 * mean).toFixed(1)}%` };
  const { classes, counts } = confusion;
  const matrix = named.map(({ label }) => {
    const row = counts.subarray(label * classes, (label + 1) * classes);
    const total = row.reduce((sum, count) => sum + count, 0);
    return Array.from(row, (count) => Math.round((100 * count) / Math.max(1, total)));
  });
  return [
    { name: 'iou', svg: barPlot({ title: 'Intersection over union by class', bars, reference }) },
    {
      name: 'pixel-confusion',
      svg: confusionPlot({
        title: 'What pixels were taken for, per cent of their class',
        matrix,
        classNames,
      }),
    },
  ];
}
