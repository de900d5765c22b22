import { expectedLogits, refereeDifference } from '../expected.ts';
import { interleave, type Outcome, type Schedule } from '../interleave.ts';
import { createFolder, writeModels } from '../prepare.ts';
import { lineCells, lineColumns, reportLines } from '../report.ts';
import { startRow } from '../row-process.ts';
import { type Row, type RowGroup, rowGroups } from '../rows.ts';
import type { Suite, SuiteOptions } from './suite.ts';

const schedules: { readonly [S in 'single' | 'batch' | 'quick']: Schedule } = {
  single: { rounds: 20, warmUp: 10 },
  batch: { rounds: 6, warmUp: 2 },
  quick: { rounds: 3, warmUp: 2 },
};

function scheduleFor({ batch }: RowGroup, { quick, rounds }: SuiteOptions): Schedule {
  const usual = quick ? schedules.quick : batch > 1 ? schedules.batch : schedules.single;
  return rounds === undefined ? usual : { ...usual, rounds };
}

export function nodeOf(row: Row, newer: SuiteOptions['newerNode']): string | undefined {
  return row.engine.runtime === 'this' ? process.execPath : newer?.path;
}

/** The rows of one net and batch, checked and timed in turns. */
export async function runGroup(
  group: RowGroup,
  schedule: Schedule,
  options: SuiteOptions,
  folder: string,
): Promise<readonly Outcome[]> {
  return interleave(group.rows, schedule, {
    start: async (row) => {
      const node = nodeOf(row, options.newerNode);
      return node === undefined ? 'no Node 22 or newer' : startRow(row, folder, node);
    },
    expected: await expectedLogits(folder, group.variant, group.batch),
  });
}

/** Writes what the group's rows read. */
export function writeGroupModels(folder: string, { variant, rows }: RowGroup): Promise<void> {
  return writeModels(folder, variant, {
    quantized: rows.some(({ engine }) => engine.options.quantized),
    tflite: rows.some(({ engine }) => engine.adapter === 'litert'),
  });
}

/** Every engine on every net: medians, and ratios to rivals that took turns with it. */
export const engines: Suite = async (options) => {
  const groups = rowGroups({
    variants: options.quick ? ['s0'] : ['s0', 's1', 's2', 's3', 's4'],
    batches: options.quick ? [1] : [1, 32],
    threads: [1, 2],
    only: options.only,
  });
  const outcomes: Outcome[] = [];
  const notes: string[] = [];
  const folder = await createFolder();
  try {
    for (const group of groups) {
      console.error(`${group.variant}, batch ${group.batch}: ${group.rows.length} rows`);
      await writeGroupModels(folder.path, group);
      outcomes.push(...(await runGroup(group, scheduleFor(group, options), options, folder.path)));
      if (group.variant === 's0' && group.batch === 1) {
        const logits = await expectedLogits(folder.path, 's0', 1);
        const found = await refereeDifference(logits, 's0');
        notes.push(
          `the referee, onnxruntime-node, is ${found.toExponential(1)} from the reference engine on s0`,
        );
      }
    }
  } finally {
    await folder.remove();
  }
  const lines = reportLines(outcomes, options.peaks);
  const count = (kind: Outcome['kind']): number => lines.filter(({ outcome }) => outcome === kind).length;
  notes.push(
    `${lines.length} rows: ${count('timed')} timed, ${count('wrong')} wrong, ${count('failed')} failed, ${count('left out')} left out`,
  );
  return { suite: 'engines', columns: lineColumns, rows: lines.map(lineCells), data: lines, notes };
};
