import { boxPlots } from './box-evaluation.ts';
import { evaluationPlots, historyPlots, type NamedPlot, pixelPlots } from './plots.ts';
import { reportPage } from './report-page.ts';
import type { RunReport } from './run-report.ts';
import { mistakeSheet, type PreparedSheet, prepareSheet, sheetSvg } from './sheet.ts';

/** Where a report goes: a run's folder, or memory. `write` puts a file in place whole or not at all. */
export interface ReportStore {
  readonly write: (name: string, bytes: string) => Promise<void>;
}

/** All files of a report by name: `report.html`, and every plot and sheet of pictures as SVG in `plots/`. */
export async function reportFiles(report: RunReport): Promise<ReadonlyMap<string, string>> {
  const { history = [], bestEpoch, evaluation, pixels, boxes, mistakes = [], sheets = [] } = report;
  const withMistakes = [
    ...sheets,
    ...(mistakes.length > 0 ? [mistakeSheet(mistakes, evaluation?.classNames ?? [])] : []),
  ];
  const parts = {
    history: historyPlots(history, bestEpoch),
    evaluation: evaluation ? evaluationPlots(evaluation) : [],
    pixels: pixels ? pixelPlots(pixels) : [],
    boxes: boxes ? boxPlots(boxes) : [],
    sheets: await Promise.all(withMistakes.map(prepareSheet)),
  };
  const plots: readonly NamedPlot[] = [
    ...parts.history,
    ...parts.evaluation,
    ...parts.pixels,
    ...parts.boxes,
    ...parts.sheets.map(namedSheet),
  ];
  return new Map([
    ...plots.map(({ name, svg }) => [`plots/${name}.svg`, `${svg}\n`] as const),
    ['report.html', reportPage(report, parts)] as const,
  ]);
}

const namedSheet = (sheet: PreparedSheet): NamedPlot => ({
  name: sheet.title.toLowerCase().replace(/[^a-z0-9]+/g, '-'),
  svg: sheetSvg(sheet),
});

/**
 * Writes a report, the page last, so that what it stands beside is there. Called again, it renews every file.
 * @returns the names of the files
 * @throws whatever the store throws
 */
export async function writeReport(store: ReportStore, report: RunReport): Promise<readonly string[]> {
  const files = await reportFiles(report);
  for (const [name, content] of files) await store.write(name, content);
  return [...files.keys()];
}
