import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { BatchPool } from '../../data/loader/batch.ts';
import { createInlinePool } from '../../data/loader/inline-pool.ts';
import { type BatchWorker, type BatchWorkerEvents, createWorkerPool } from '../../data/loader/worker-pool.ts';
import { createNodeDecoder, type NodeDecoderOptions } from './image-decoder.ts';
import { createLoadingGate, forgetGate, type LoadingGate } from './loading-gate.ts';

/** What a loading thread needs to begin. */
export interface LoaderWorkerData {
  readonly decoder: NonNullable<NodeDecoderOptions['decoder']>;
  readonly gate: LoadingGate;
}

export interface NodePoolOptions {
  /** Threads; 0 makes batches on the caller's. Default one for every two cores, at most four. */
  readonly workers?: number;
  readonly decoder?: LoaderWorkerData['decoder'];
}

/** Who loads pictures in Node. Idle threads do not keep the process alive. */
export async function createNodePool(options: NodePoolOptions = {}): Promise<BatchPool> {
  const { decoder = 'auto' } = options;
  const workers = options.workers ?? Math.max(1, Math.min(4, availableParallelism() >> 1));
  if (workers === 0) return createInlinePool(await createNodeDecoder({ decoder }));
  return createWorkerPool({ workers, start: (events) => startWorker(decoder, events), readsFiles: true });
}

function startWorker(decoder: LoaderWorkerData['decoder'], events: BatchWorkerEvents): BatchWorker {
  const gate = createLoadingGate();
  const worker = new Worker(new URL('./loader-worker.js', import.meta.url), {
    name: 'mobileone loader',
    // The user's flags and preloads are for the user's code.
    execArgv: [],
    workerData: { decoder, gate } satisfies LoaderWorkerData,
  });
  worker.unref();
  worker.on('message', events.onReply);
  worker.once('error', (cause) => events.onEnd(cause instanceof Error ? cause.message : String(cause)));
  worker.once('exit', (code) => {
    forgetGate(gate);
    events.onEnd(`exit code ${code}`);
  });
  return {
    post: (request, transfer) => worker.postMessage(request, transfer),
    hold: (held) => (held ? worker.ref() : worker.unref()),
    close: async () => {
      await worker.terminate();
    },
  };
}
