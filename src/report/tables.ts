import type { ClassMetrics } from '../metrics/confusion.ts';
import { confusedPairs } from '../metrics/confusion.ts';
import { element, type Markup, text } from './markup.ts';
import { isSeen } from './plots.ts';
import type { Evaluation, Fact, FormCosts, PixelEvaluation } from './run-report.ts';

/** A table whose first column is words and whose others are numbers. @returns HTML */
export function tableHtml(headings: readonly string[], rows: readonly (readonly string[])[]): Markup {
  const cells = (tag: 'th' | 'td', row: readonly string[]): Markup =>
    element(
      'tr',
      {},
      row.map((cell) => element(tag, {}, text(cell))),
    );
  const head = headings.length > 0 ? [element('thead', {}, cells('th', headings))] : [];
  return element(
    'table',
    {},
    ...head,
    element(
      'tbody',
      {},
      rows.map((row) => cells('td', row)),
    ),
  );
}

export const factsTable = (facts: readonly Fact[]): Markup => tableHtml([], facts);

const formatShare = (share: number | null): string => (share === null ? '–' : `${(100 * share).toFixed(1)}%`);

export function classTable({ metrics, classNames }: Evaluation): Markup {
  const byRecall = (a: ClassMetrics, b: ClassMetrics): number =>
    (a.recall ?? 2) - (b.recall ?? 2) || a.label - b.label;
  return tableHtml(
    ['class, worst first', 'recall', 'precision', 'F1', 'pictures', 'answers'],
    metrics.classes
      .filter(isSeen)
      .sort(byRecall)
      .map(({ label, recall, precision, f1, support, predicted }) => [
        classNames[label] ?? `class ${label}`,
        formatShare(recall),
        formatShare(precision),
        formatShare(f1),
        String(support),
        String(predicted),
      ]),
  );
}

export function pixelTable({ scores, confusion, classNames }: PixelEvaluation): Markup {
  const { classes, counts } = confusion;
  const truth = classNames.map((_, label) =>
    counts.subarray(label * classes, (label + 1) * classes).reduce((sum, count) => sum + count, 0),
  );
  const total = truth.reduce((sum, count) => sum + count, 0);
  const rows = classNames.map((name, label) => ({ name, label, iou: scores.iou[label] ?? null }));
  return tableHtml(
    ['class, worst first', 'IoU', 'Dice', 'found', 'share of pixels'],
    rows
      .sort((a, b) => (a.iou ?? 2) - (b.iou ?? 2))
      .map(({ name, label, iou }) => [
        name,
        formatShare(iou),
        formatShare(scores.dice[label] ?? null),
        formatShare(scores.classAccuracy[label] ?? null),
        formatShare((truth[label] ?? 0) / Math.max(1, total)),
      ]),
  );
}

/** The mistakes made most often. */
export function pairTable({ metrics, classNames }: Evaluation): Markup {
  const nameOf = (label: number): string => classNames[label] ?? `class ${label}`;
  return tableHtml(
    ['most frequent mistakes', 'times', 'of the class'],
    confusedPairs(metrics.confusion, 12).map(({ truth, predicted, count, share }) => [
      `${nameOf(truth)} taken for ${nameOf(predicted)}`,
      String(count),
      formatShare(share),
    ]),
  );
}

export function formTable(forms: readonly FormCosts[]): Markup {
  const timed = forms.some(({ milliseconds }) => milliseconds !== undefined);
  return tableHtml(
    ['form', 'parameters', 'million MACs', ...(timed ? ['ms a picture'] : [])],
    forms.map(({ form, parameters, macs, milliseconds }) => [
      form,
      parameters.toLocaleString('en-US'),
      (macs / 1e6).toFixed(macs < 1e7 ? 2 : 1),
      ...(timed ? [milliseconds === undefined ? '–' : milliseconds.toFixed(2)] : []),
    ]),
  );
}
