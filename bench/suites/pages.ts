import { UsageError } from '../../src/errors.ts';
import { skipWithoutChromium } from '../../test/browser/chromium.ts';
import { expectedLogits } from '../expected.ts';
import { interleave, type Outcome } from '../interleave.ts';
import { openPageRows, type PageRows } from '../pages/open-rows.ts';
import { createFolder } from '../prepare.ts';
import { lineCells, lineColumns, reportLines } from '../report.ts';
import { rowGroups } from '../rows.ts';
import { writeGroupModels } from './engines.ts';
import type { Suite } from './suite.ts';

/** Engines that run in web pages, in pages of headless Chromium. */
export const pages: Suite = async ({ quick, only, rounds = quick ? 3 : 20, peaks }) => {
  if (skipWithoutChromium) throw new UsageError(skipWithoutChromium);
  const variants = quick ? (['s0'] as const) : (['s0', 's1'] as const);
  const groups = rowGroups({ variants, batches: [1], threads: [1, 2], only }).map((group) => ({
    ...group,
    rows: group.rows.filter(({ engine }) => engine.inPages),
  }));
  const outcomes: Outcome[] = [];
  const notes: string[] = [];
  const folder = await createFolder();
  let rows: PageRows | undefined;
  try {
    rows = await openPageRows(folder.path);
    const { browser, start } = rows;
    notes.push(browser);
    for (const group of groups) {
      console.error(`${group.variant}: ${group.rows.length} rows in pages`);
      await writeGroupModels(folder.path, group);
      const expected = await expectedLogits(folder.path, group.variant, group.batch);
      outcomes.push(...(await interleave(group.rows, { rounds, warmUp: 10 }, { start, expected })));
    }
  } finally {
    await rows?.close();
    await folder.remove();
  }
  const lines = reportLines(outcomes, peaks);
  notes.push(...lines.flatMap(({ id, reason }) => (reason === undefined ? [] : [`${id}: ${reason}`])));
  return { suite: 'pages', columns: lineColumns, rows: lines.map(lineCells), data: lines, notes };
};
