import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Row } from './rows.ts';
import type { TimeRequest } from './runners/runner.ts';
import type { WorkerJob, WorkerReply } from './worker.ts';

const workerFile = fileURLToPath(new URL('./worker.js', import.meta.url));

/** A row's engine, loaded and waiting for its turn. */
export interface RowProcess {
  readonly pid: number | undefined;
  readonly info: Readonly<Record<string, string | number>>;
  readonly logits: Float32Array;
  /** Milliseconds of each run after the warm-up. @throws Error when the process has died */
  readonly time: (request: TimeRequest) => Promise<readonly number[]>;
  readonly end: () => void;
}

/** The next message of a child. @throws Error with the end of its stderr when it dies first */
function nextReply(child: ChildProcess, errors: () => string): Promise<WorkerReply> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null, signal: string | null): void =>
      reject(new Error(`the process ended with ${signal ?? `code ${code}`}: ${errors().trim().slice(-300)}`));
    child.once('exit', onExit);
    child.once('message', (message: WorkerReply) => {
      child.off('exit', onExit);
      resolve(message);
    });
  });
}

/** @returns the loaded row, or why it cannot run */
export async function startRow(row: Row, folder: string, node: string): Promise<RowProcess | string> {
  const { engine, variant, batch, threads } = row;
  const job: WorkerJob = {
    adapter: engine.adapter,
    options: { variant, batch, threads, folder, ...engine.options },
  };
  const child = fork(workerFile, [JSON.stringify(job)], {
    execPath: node,
    execArgv: [],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-4000);
  });
  const end = (): void => {
    child.kill('SIGKILL');
  };
  let first: WorkerReply;
  try {
    first = await nextReply(child, () => errors);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  if (first.kind !== 'ready') {
    end();
    return first.kind === 'unavailable' ? first.reason : 'its process spoke out of turn';
  }
  return {
    pid: child.pid,
    info: first.info,
    logits: Float32Array.from(first.logits),
    time: async (request) => {
      const reply = nextReply(child, () => errors);
      child.send(request);
      const message = await reply;
      return message.kind === 'times' ? message.milliseconds : [];
    },
    end,
  };
}
