import { boxSection } from './box-evaluation.ts';
import { documentOf, element, join, type Markup, styleSheet, text } from './markup.ts';
import { pageStyle } from './page-style.ts';
import type { NamedPlot } from './plots.ts';
import type { Evaluation, Fact, PixelEvaluation, RunReport } from './run-report.ts';
import { type PreparedSheet, sheetHtml } from './sheet.ts';
import { classTable, factsTable, formTable, pairTable, pixelTable } from './tables.ts';

/** The drawn parts of a report. */
export interface ReportParts {
  readonly history: readonly NamedPlot[];
  readonly evaluation: readonly NamedPlot[];
  readonly pixels: readonly NamedPlot[];
  readonly boxes: readonly NamedPlot[];
  readonly sheets: readonly PreparedSheet[];
}

/** One file that needs no other: everything is inside, no script, nothing is fetched. @returns HTML */
export function reportPage(report: RunReport, parts: ReportParts): string {
  const { history, evaluation, pixels, boxes, sheets } = parts;
  const { title, status, headline = [], model, speed = [], config } = report;
  const head = join([
    element('title', {}, text(title)),
    element('meta', { name: 'viewport', content: 'width=device-width, initial-scale=1' }),
    styleSheet(pageStyle),
  ]);
  const sections: readonly Markup[] = [
    element('h1', {}, text(title)),
    ...(status ? [element('p', { class: 'status' }, text(status))] : []),
    ...(headline.length > 0 ? [element('div', { class: 'cards' }, headline.map(card))] : []),
    ...(history.length > 0
      ? [
          section(
            'Curves',
            element(
              'div',
              { class: 'plots' },
              history.map(({ svg }) => element('div', {}, svg)),
            ),
          ),
        ]
      : []),
    ...(report.evaluation ? [evaluationSection(report.evaluation, evaluation)] : []),
    ...(report.pixels ? [pixelSection(report.pixels, pixels)] : []),
    ...(report.boxes ? [boxSection(report.boxes, boxes)] : []),
    ...sheets.filter(({ pictures }) => pictures.length > 0).map(sheetHtml),
    ...(model ? [section('Model', row([factsTable(model.facts), formTable(model.forms)]))] : []),
    ...(speed.length > 0 ? [section('Speed', row([factsTable(speed)]))] : []),
    ...(config === undefined ? [] : [configSection(config)]),
  ];
  return documentOf(head, join(sections, '\n'));
}

const section = (title: string, ...content: readonly Markup[]): Markup =>
  element('section', {}, element('h2', {}, text(title)), ...content);

/** Side by side where there is room; what is too wide scrolls by itself. */
const row = (parts: readonly Markup[]): Markup =>
  element(
    'div',
    { class: 'row' },
    parts.map((part) => element('div', {}, part)),
  );

const card = ([label, value]: Fact): Markup =>
  element('div', { class: 'card' }, element('b', {}, text(value)), element('span', {}, text(label)));

function evaluationSection(evaluation: Evaluation, plots: readonly NamedPlot[]): Markup {
  const { note, metrics } = evaluation;
  const calibration = metrics.calibration.error;
  const summary = [
    `${metrics.count} pictures`,
    ...(note ? [note] : []),
    ...(calibration === null
      ? []
      : [`probabilities are off by ${(100 * calibration).toFixed(1)} points on average`]),
    ...(metrics.invalid > 0 ? [`${metrics.invalid} answers were no numbers`] : []),
  ].join('; ');
  return section(
    'Evaluation',
    element('p', { class: 'note' }, text(summary)),
    row(plots.map(({ svg }) => svg)),
    row([classTable(evaluation), pairTable(evaluation)]),
  );
}

function pixelSection(evaluation: PixelEvaluation, plots: readonly NamedPlot[]): Markup {
  const { note } = evaluation;
  return section(
    'Evaluation',
    ...(note ? [element('p', { class: 'note' }, text(note))] : []),
    row(plots.map(({ svg }) => svg)),
    row([pixelTable(evaluation)]),
  );
}

function configSection(config: unknown): Markup {
  const written = JSON.stringify(config, null, 2) ?? '';
  return section(
    'Configuration',
    element('details', {}, element('summary', {}, text('as used')), element('pre', {}, text(written))),
  );
}
