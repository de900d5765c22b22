import type { CocoStats } from '../metrics/detection/coco-eval.ts';
import { linePlot } from './line-plot.ts';
import { element, type Markup, text } from './markup.ts';
import type { NamedPlot } from './plots.ts';
import type { BoxEvaluation } from './run-report.ts';
import { tableHtml } from './tables.ts';

/** More lines cannot be told apart. */
const mostCurves = 7;
/** Of one name in the legend. */
const nameWidth = 150;

/** Precision over recall at IoU 0.5, a line a class; of many, those with most objects. */
export function boxPlots({ classes }: BoxEvaluation): readonly NamedPlot[] {
  const drawn = classes
    .filter(({ curve50 }) => curve50.length > 0)
    .sort((a, b) => b.objects - a.objects)
    .slice(0, mostCurves);
  if (drawn.length === 0) return [];
  const series = drawn.map(({ className, AP50, curve50 }) => ({
    name: `${className} ${share(AP50)}`,
    points: curve50.map((precision, i) => [i / (curve50.length - 1), precision] as const),
  }));
  const width = Math.max(520, nameWidth * series.length);
  const title = 'Precision over recall at IoU 0.5';
  const svg = linePlot({ title, xLabel: 'recall', series, percent: true, yDomain: [0, 1], width });
  return [{ name: 'precision-recall', svg }];
}

const share = (value: number): string => (value < 0 ? '–' : `${(100 * value).toFixed(1)}%`);

const statNames = [
  ['AP', 'AP, IoU 0.50 … 0.95'],
  ['AP50', 'AP at IoU 0.50'],
  ['AP75', 'AP at IoU 0.75'],
  ['APs', 'AP, small (to 32² pixels)'],
  ['APm', 'AP, medium (to 96²)'],
  ['APl', 'AP, large'],
  ['AR1', 'AR, 1 detection a picture'],
  ['AR10', 'AR, 10 detections'],
  ['AR100', 'AR, 100 detections'],
  ['ARs', 'AR, small'],
  ['ARm', 'AR, medium'],
  ['ARl', 'AR, large'],
] as const satisfies readonly (readonly [keyof CocoStats, string])[];

/** COCO's twelve numbers with what they are called, as people read them. */
export const statFacts = (stats: CocoStats): readonly (readonly [name: string, value: string])[] =>
  statNames.map(([key, name]) => [name, share(stats[key])]);

export const classHeadings = ['class', 'AP', 'AP50', 'AP75', 'AR100', 'objects'] as const;

/** A row a class, the lowest AP first. */
export const classRows = ({ classes }: Pick<BoxEvaluation, 'classes'>): readonly (readonly string[])[] =>
  classes
    .filter(({ objects }) => objects > 0)
    .sort((a, b) => a.AP - b.AP)
    .map(({ className, AP, AP50, AP75, AR100, objects }) => [
      className,
      ...[AP, AP50, AP75, AR100].map(share),
      String(objects),
    ]);

/** @returns HTML */
export function boxSection(evaluation: BoxEvaluation, plots: readonly NamedPlot[]): Markup {
  const side = (parts: readonly Markup[]): Markup =>
    element(
      'div',
      { class: 'row' },
      parts.map((part) => element('div', {}, part)),
    );
  return element(
    'section',
    {},
    element('h2', {}, text('Evaluation')),
    ...(evaluation.note ? [element('p', { class: 'note' }, text(evaluation.note))] : []),
    side(plots.map(({ svg }) => svg)),
    side([tableHtml(classHeadings, classRows(evaluation)), tableHtml([], statFacts(evaluation.stats))]),
  );
}
