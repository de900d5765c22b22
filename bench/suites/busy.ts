import { spawn } from 'node:child_process';
import type { Outcome } from '../interleave.ts';
import { createFolder } from '../prepare.ts';
import { rowGroups } from '../rows.ts';
import { runGroup, writeGroupModels } from './engines.ts';
import type { Suite } from './suite.ts';

function medianOf(outcomes: readonly Outcome[], engine: string, threads: number): number | undefined {
  const found = outcomes.find(({ row }) => row.engine.name === engine && row.threads === threads);
  return found?.kind === 'timed' ? found.timing.median : undefined;
}

/** S0 beside a process that keeps one core busy: two threads must be no slower than one. */
export const busy: Suite = async (options) => {
  const groups = rowGroups({ variants: ['s0'], batches: [1], threads: [1, 2], only: options.only });
  const schedule = { rounds: options.rounds ?? (options.quick ? 3 : 20), warmUp: 10 };
  const folder = await createFolder();
  const data: { engine: string; quiet: readonly number[]; busy: readonly number[]; ratio: number }[] = [];
  const notes: string[] = [];
  try {
    for (const group of groups) {
      await writeGroupModels(folder.path, group);
      const quiet = await runGroup(group, schedule, options, folder.path);
      const neighbour = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });
      let crowded: readonly Outcome[];
      try {
        crowded = await runGroup(group, schedule, options, folder.path);
      } finally {
        neighbour.kill('SIGKILL');
      }
      for (const name of new Set(group.rows.map(({ engine }) => engine.name))) {
        const times = [quiet, crowded].map((outcomes) => [1, 2].map((n) => medianOf(outcomes, name, n)));
        const [[q1, q2] = [], [b1, b2] = []] = times;
        if (q1 === undefined || q2 === undefined || b1 === undefined || b2 === undefined) {
          const missing = crowded.find(({ row, kind }) => row.engine.name === name && kind !== 'timed');
          notes.push(`${name}: ${missing && 'reason' in missing ? missing.reason : 'not timed on both'}`);
        } else data.push({ engine: name, quiet: [q1, q2], busy: [b1, b2], ratio: b2 / b1 });
      }
    }
  } finally {
    await folder.remove();
  }
  const columns = ['engine', 'quiet 1t ms', 'quiet 2t', 'busy 1t', 'busy 2t', '2t / 1t when busy'];
  const rows = data.map(({ engine, quiet, busy: crowded, ratio }) => [
    engine,
    ...[...quiet, ...crowded].map((ms) => ms.toFixed(2)),
    `${ratio.toFixed(2)}${engine.startsWith('mobileone') ? (ratio <= 1 ? ' (1)' : ' (1, missed)') : ''}`,
  ]);
  return { suite: 'busy', columns, rows, data, notes };
};
