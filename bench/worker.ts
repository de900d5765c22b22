/**
 * One row in a process of its own, started by `row-process.ts`: loads the engine, answers with its logits, then
 * times as many runs as each message asks for.
 */

import type { RunnerOptions } from './adapters/adapter.ts';
import { type AdapterName, adapters } from './adapters/registry.ts';
import { type TimeRequest, timeRuns } from './runners/runner.ts';

export interface WorkerJob {
  readonly adapter: AdapterName;
  readonly options: RunnerOptions;
}

export type WorkerReply =
  | {
      readonly kind: 'ready';
      readonly info: Readonly<Record<string, string | number>>;
      readonly logits: readonly number[];
    }
  | { readonly kind: 'unavailable'; readonly reason: string }
  | { readonly kind: 'times'; readonly milliseconds: readonly number[] };

const reply = (message: WorkerReply): void => void process.send?.(message);

async function main({ adapter, options }: WorkerJob): Promise<void> {
  const runner = await (await adapters[adapter]())(options);
  if ('unavailable' in runner) {
    reply({ kind: 'unavailable', reason: runner.unavailable });
    return;
  }
  process.on('message', (request: TimeRequest) => {
    void timeRuns(runner, request).then((milliseconds) => reply({ kind: 'times', milliseconds }));
  });
  const logits = Array.from(await runner.run());
  reply({ kind: 'ready', info: runner.info, logits });
}

const job: WorkerJob = JSON.parse(process.argv[2] ?? '{}');
try {
  await main(job);
} catch (error) {
  const reason = error instanceof Error ? error.message : String(error);
  reply({ kind: 'unavailable', reason });
}
