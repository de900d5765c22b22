/** Helper threads in pages and web workers. Shared memory needs a cross-origin isolated page. */
import { HELPER_ENDED } from '../../engine/cpu/helper.ts';
import { createThreadPool } from '../../engine/cpu/shared-pool.ts';
import type { ThreadPool } from '../../engine/cpu/thread-pool.ts';

/** @param helperUrl where threads-worker.js is served, when the bundler does not place it */
export function createBrowserThreadPool(helperUrl?: string | URL): ThreadPool {
  return createThreadPool({
    cores: Math.max(1, navigator.hardwareConcurrency || 1),
    mayWait: typeof document === 'undefined',
    later: (callback) => void setTimeout(callback, 1),
    start: (start, onEnd) => {
      // Bundlers look for exactly this expression.
      const worker =
        helperUrl === undefined
          ? new Worker(new URL('./threads-worker.js', import.meta.url), { type: 'module' })
          : new Worker(helperUrl, { type: 'module' });
      worker.addEventListener('error', onEnd);
      worker.addEventListener('message', ({ data }) => {
        if (data === HELPER_ENDED) onEnd();
      });
      worker.postMessage(start);
      return { post: (message) => worker.postMessage(message) };
    },
  });
}
