import type { BatchPool } from '../../data/loader/batch.ts';
import { createInlinePool } from '../../data/loader/inline-pool.ts';
import {
  type BatchReply,
  type BatchWorker,
  type BatchWorkerEvents,
  createWorkerPool,
} from '../../data/loader/worker-pool.ts';
import { type BrowserDecoderOptions, createBrowserDecoder } from './image-decoder.ts';

/** What a loading thread needs to begin. */
export interface LoaderStart {
  readonly jpegWasm: string | WebAssembly.Module | undefined;
}

export interface BrowserPoolOptions extends BrowserDecoderOptions {
  /** Threads; 0 makes batches on the caller's. Default 1. */
  readonly workers?: number;
  /** Where loader-worker.js is served, when the bundler does not place it. */
  readonly workerUrl?: string | URL;
}

/**
 * Who loads pictures in a page. Files are read by the caller's thread. In a page that is not cross-origin isolated,
 * cached pictures are copied to the threads each time.
 */
export function createBrowserPool(options: BrowserPoolOptions = {}): BatchPool {
  const { workers = 1, jpegWasm } = options;
  if (workers === 0) return createInlinePool(createBrowserDecoder(options));
  const start: LoaderStart = { jpegWasm: jpegWasm instanceof URL ? jpegWasm.href : jpegWasm };
  return createWorkerPool({
    workers,
    start: (events) => startWorker(start, options.workerUrl, events),
    readsFiles: false,
  });
}

function startWorker(
  start: LoaderStart,
  workerUrl: string | URL | undefined,
  events: BatchWorkerEvents,
): BatchWorker {
  // Bundlers look for exactly this expression.
  const worker =
    workerUrl === undefined
      ? new Worker(new URL('./loader-worker.js', import.meta.url), { type: 'module' })
      : new Worker(workerUrl, { type: 'module' });
  worker.addEventListener('message', ({ data }: MessageEvent<BatchReply>) => events.onReply(data));
  worker.addEventListener('error', ({ message }) =>
    events.onEnd(message || 'its script could not be loaded'),
  );
  worker.postMessage(start);
  return {
    post: (request, transfer) => worker.postMessage(request, transfer),
    hold: () => {},
    close: async () => worker.terminate(),
  };
}
