/** Helper threads in Node: worker_threads that never keep the process alive. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { createThreadPool } from '../../engine/cpu/shared-pool.ts';
import type { ThreadPlacement } from '../../engine/cpu/thread-placement.ts';
import type { ThreadPool } from '../../engine/cpu/thread-pool.ts';
import { createLoadingGate, forgetGate, type LoadingGate } from './loading-gate.ts';

/** What a helper needs besides the pool's own messages: how to call native code, if this process can. */
export interface NodeHelperData {
  readonly invokeAddress: number | undefined;
  readonly gate: LoadingGate;
}

/**
 * @param invokeAddress from this process's SystemMemory; absent where there is no native code
 * @param placement where the system lets threads be placed
 */
export function createNodeThreadPool(
  invokeAddress: number | undefined,
  placement?: ThreadPlacement,
): ThreadPool {
  return createThreadPool({
    cores: availableParallelism(),
    mayWait: true,
    placement,
    later: (callback) => void setTimeout(callback, 1).unref(),
    start: (start, onEnd) => {
      const gate = createLoadingGate();
      const worker = new Worker(new URL('./threads-worker.js', import.meta.url), {
        name: 'mobileone helper',
        // The user's flags and preloads are for the user's code.
        execArgv: [],
        env: {},
        workerData: { invokeAddress, gate } satisfies NodeHelperData,
      });
      worker.unref();
      // A helper that fails leaves the work to the others; runs never wait for it.
      worker.once('error', onEnd);
      worker.once('exit', () => {
        forgetGate(gate);
        onEnd();
      });
      worker.postMessage(start);
      return { post: (message) => worker.postMessage(message) };
    },
  });
}
