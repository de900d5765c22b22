import { spawn } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { pick, refusable, type Scenario, someOptions } from './scenario.ts';

const userWorker = new URL('./user-worker.js', import.meta.url);
const longest = 30_000;

/** Worker threads of the user's own, each with a model, ended at a random moment or left to finish. */
export const userWorkers: Scenario = {
  weight: 2,
  run: ({ random }) =>
    refusable(async () => {
      const workers = Array.from({ length: 1 + random.integer(3) }, () => {
        const workerData = {
          seed: random.integer(2 ** 31),
          runs: 1 + random.integer(20),
          ...someOptions(random),
        };
        return { worker: new Worker(userWorker, { workerData }), kill: random.uniform() < 0.5 };
      });
      await Promise.all(
        workers.map(({ worker, kill }) => {
          const ended = new Promise<void>((resolve, reject) => {
            worker.once('error', reject);
            worker.once('exit', (code) =>
              code === 0 || kill ? resolve() : reject(new Error(`a user's worker ended with code ${code}`)),
            );
          });
          if (kill) void pause(random.integer(400)).then(() => worker.terminate());
          return ended;
        }),
      );
    }),
};

/** A process that ends at a random moment by itself, or when it has nothing left to do. */
export const processEnd: Scenario = {
  weight: 2,
  run: ({ random }) =>
    refusable(async () => {
      const job = {
        seed: random.integer(2 ** 31),
        runs: 1 + random.integer(20),
        ...someOptions(random),
        // Many threads take long to start, so that the end finds them starting.
        threads: pick(random, [1, 2, 4, 24, 64]),
        ...pick(random, [{}, { exitAfter: random.integer(300) }, { exitWhenDone: true }]),
      };
      const file = fileURLToPath(new URL('./user-process.js', import.meta.url));
      const child = spawn(process.execPath, [file, JSON.stringify(job)], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let errors = '';
      child.stderr.on('data', (chunk: Buffer) => {
        errors += chunk.toString();
      });
      const timer = setTimeout(() => child.kill('SIGKILL'), longest);
      const [code, signal] = await new Promise<readonly [number | null, string | null]>((resolve) => {
        child.once('exit', (...how) => resolve(how));
      });
      clearTimeout(timer);
      if (code !== 0)
        throw new Error(
          `a process with ${JSON.stringify(job)} ended with ${signal ?? code}: ${errors.slice(-500)}`,
        );
    }),
};
