import { type ReportStore, writeReport } from '../../report/write-report.ts';
import type { LearningTask, TaskTools } from '../task/learning-task.ts';
import type { RunSoFar } from './learn.ts';
import { type Judged, runReport } from './run-report.ts';

/** A run's report while the run goes on. */
export interface LivingReport {
  /** After an epoch: curves as they are by now, and the best weights judged where that is cheap or the run over. */
  readonly renew: (run: RunSoFar) => Promise<void>;
  /** When the run has ended, in whatever way: the best weights judged, if they are not yet. */
  readonly finish: (run: RunSoFar) => Promise<void>;
}

/** Of the time that steps took; what judging may take while a run goes on. */
const SHARE = 0.05;

/**
 * Keeps `report.html` and `plots/` up to date, each file whole or not at all. Judging weights and gathering pictures
 * takes about as long as an evaluation; in between the report shows what was judged last, and says so.
 */
export function livingReport(task: LearningTask, store: ReportStore, tools: TaskTools): LivingReport {
  let judged: Judged | undefined;
  let judgingSeconds = 0;
  let written = 0;
  const judge = async ({ progress, weights }: RunSoFar): Promise<void> => {
    const start = performance.now();
    judged = { epoch: progress.bestEpoch, parts: await task.report(weights, tools) };
    judgingSeconds += (performance.now() - start) / 1000;
  };
  const isFresh = ({ progress }: RunSoFar): boolean => judged?.epoch === progress.bestEpoch;
  const mayJudge = ({ progress }: RunSoFar): boolean => {
    const { history } = progress;
    const seconds = history.reduce((sum, row) => sum + row.seconds, 0);
    const over = history.length === task.config.recipe.epochs;
    return over || judged === undefined || judgingSeconds < SHARE * seconds;
  };
  const write = async (run: RunSoFar): Promise<void> => {
    await writeReport(store, await runReport(task, { ...run, ...tools, ...(judged ? { judged } : {}) }));
    written = run.progress.history.length;
  };
  return {
    renew: async (run) => {
      if (!isFresh(run) && mayJudge(run)) await judge(run);
      await write(run);
    },
    finish: async (run) => {
      const { length } = run.progress.history;
      if (length === 0 || (length === written && isFresh(run))) return;
      if (!isFresh(run)) await judge(run);
      await write(run);
    },
  };
}
