/** Bundled into a page: one engine that waits for its turns. */
import { type Runner, type TimeRequest, timeRuns } from '../runners/runner.ts';
import { pageAdapters } from './page-adapters.ts';
import type { PageJob } from './page-job.ts';

let runner: Runner | undefined;

function loaded(): Runner {
  if (runner === undefined) throw new Error('The page has no engine yet.');
  return runner;
}

const benchPage = {
  /** @returns what the engine says of itself, and its logits */
  load: async (job: PageJob) => {
    const adapter = pageAdapters[job.adapter];
    if (adapter === undefined) throw new Error(`No page can load ${job.adapter}.`);
    runner = await adapter(job);
    return { info: runner.info, logits: Array.from(await runner.run()) };
  },
  time: (request: TimeRequest) => timeRuns(loaded(), request),
};

export type BenchPage = typeof benchPage;

declare global {
  var mobileoneBench: BenchPage;
}
globalThis.mobileoneBench = benchPage;
