import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { graphCost } from '../src/graph/cost.ts';
import type { Outcome } from './interleave.ts';
import type { MachineReport } from './machine.ts';
import { benchGraph } from './net.ts';
import type { Roof, Row } from './rows.ts';
import { isNoisy } from './statistics.ts';

/** GFLOP/s by instruction set and threads, as measured in this run. */
export type Peaks = Readonly<Partial<Record<Roof, Readonly<Record<number, number>>>>>;

export interface ReportedRatio {
  readonly against: string;
  readonly ratio: number;
  readonly atMost: number;
  readonly met: boolean;
}

/** A line of the table and of the JSON file. */
export interface ReportLine {
  readonly id: string;
  readonly engine: string;
  readonly variant: string;
  readonly batch: number;
  readonly threads: number;
  readonly outcome: Outcome['kind'];
  readonly reason?: string;
  readonly runs?: number;
  readonly median?: number;
  readonly p10?: number;
  readonly p90?: number;
  readonly noisy?: boolean;
  readonly gflops?: number;
  readonly peakShare?: number;
  readonly imagesPerSecond?: number;
  readonly difference?: number;
  readonly ratios?: readonly ReportedRatio[];
  readonly info?: Readonly<Record<string, string | number>>;
}

/** A suite's result: lines of any shape under columns. */
export interface SuiteReport {
  readonly suite: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly data: unknown;
  readonly notes: readonly string[];
}

function ratiosOf(row: Row, median: number, outcomes: readonly Outcome[]): readonly ReportedRatio[] {
  const goals = row.engine.goals.filter(
    ({ batch, variants }) =>
      (batch === undefined || batch === row.batch) && (variants?.includes(row.variant) ?? true),
  );
  return goals.flatMap(({ against, atMost }) => {
    const rival = outcomes.find(
      (other) =>
        other.row.engine.name === against &&
        other.row.variant === row.variant &&
        other.row.batch === row.batch &&
        other.row.threads === row.threads,
    );
    if (rival?.kind !== 'timed') return [];
    const ratio = median / rival.timing.median;
    return [{ against, ratio, atMost, met: ratio <= atMost }];
  });
}

export function reportLines(outcomes: readonly Outcome[], peaks: Peaks): readonly ReportLine[] {
  return outcomes.map((outcome) => {
    const { row } = outcome;
    const { id, variant, batch, threads } = row;
    const head = { id, engine: row.engine.name, variant, batch, threads, outcome: outcome.kind };
    if (outcome.kind !== 'timed') return { ...head, reason: outcome.reason };
    const { count, ...timing } = outcome.timing;
    const flops = 2 * graphCost(benchGraph(variant, batch)).macs;
    const gflops = flops / timing.median / 1e6;
    const peak = peaks[row.engine.roof]?.[threads];
    return {
      ...head,
      runs: count,
      ...timing,
      noisy: isNoisy(outcome.timing),
      gflops,
      ...(peak === undefined ? {} : { peakShare: gflops / peak }),
      imagesPerSecond: (1000 * batch) / timing.median,
      difference: outcome.difference,
      ratios: ratiosOf(row, timing.median, outcomes),
      info: outcome.info,
    };
  });
}

export const lineColumns = [
  'engine',
  'net',
  'batch',
  'threads',
  'median ms',
  'p10',
  'p90',
  'img/s',
  'GFLOP/s',
  '% peak',
  'difference',
  'ratio to (goal)',
] as const;

const digits = (value: number): string => value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);

export function lineCells(line: ReportLine): readonly string[] {
  const head = [line.engine, line.variant, String(line.batch), String(line.threads)];
  if (line.median === undefined) return [...head, line.outcome, '', '', '', '', '', '', line.reason ?? ''];
  const share = line.peakShare === undefined ? '' : (100 * line.peakShare).toFixed(0);
  const ratios = (line.ratios ?? []).map(
    ({ against, ratio, atMost, met }) => `${ratio.toFixed(2)} ${against} (${atMost}${met ? '' : ', missed'})`,
  );
  return [
    ...head,
    digits(line.median),
    digits(line.p10 ?? 0),
    `${digits(line.p90 ?? 0)}${line.noisy ? ' noisy' : ''}`,
    digits(line.imagesPerSecond ?? 0),
    digits(line.gflops ?? 0),
    share,
    (line.difference ?? 0).toExponential(1),
    ratios.join('; '),
  ];
}

/** The machine as lines of text. */
export function machineLines(machine: MachineReport, peaks: Peaks): readonly string[] {
  const packages = Object.entries(machine.packages).map(([name, version]) => `${name} ${version}`);
  const roofs = Object.entries(peaks).map(
    ([name, byThreads]) =>
      `${name} ${Object.entries(byThreads)
        .map(([n, peak]) => `${peak.toFixed(0)} (${n}t)`)
        .join(', ')}`,
  );
  return [
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB; ${machine.flags.join(' ')}`,
    `${machine.system}; Node ${machine.node}${machine.newerNode ? ` and ${machine.newerNode}` : ''}; load ${machine.load}`,
    packages.join(', '),
    `commit ${machine.commit}${machine.dirty ? ', with changes' : ''}`,
    ...(roofs.length > 0 ? [`measured peak, GFLOP/s: ${roofs.join('; ')}`] : []),
  ];
}

/** Cells under one another. */
function alignColumns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

export function printReport(report: SuiteReport, head: readonly string[]): void {
  const table = alignColumns([report.columns, ...report.rows]);
  console.log([...head, '', ...table, '', ...report.notes].join('\n'));
}

const resultsFolder = fileURLToPath(new URL('../../bench/results', import.meta.url));

/** Writes `<suite>-<date>.json` and `.md`. @returns their path without extension */
export async function writeReport(
  report: SuiteReport,
  machine: MachineReport,
  head: readonly string[],
): Promise<string> {
  const date = new Date().toISOString();
  const path = join(resultsFolder, `${report.suite}-${date.slice(0, 19).replaceAll(':', '')}`);
  await mkdir(resultsFolder, { recursive: true });
  const json = { suite: report.suite, date, machine, notes: report.notes, result: report.data };
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const markdown = [
    `# ${report.suite}, ${date}`,
    '',
    ...head.map((text) => `- ${text}`),
    '',
    line(report.columns),
    line(report.columns.map(() => '---')),
    ...report.rows.map(line),
    '',
    ...report.notes.map((text) => `- ${text}`),
    '',
  ];
  await writeFile(`${path}.json`, `${JSON.stringify(json, null, 1)}\n`);
  await writeFile(`${path}.md`, markdown.join('\n'));
  return path;
}
