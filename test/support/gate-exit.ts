/** A process that ends while a thread of its own is loading something; the thread tells when it has. */
import { writeSync } from 'node:fs';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { createLoadingGate, passGate } from '../../src/platform/node/loading-gate.ts';

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url), { workerData: createLoadingGate() });
  worker.once('message', () => process.exit());
} else {
  await passGate(workerData, async () => {
    parentPort?.postMessage('begun');
    for (const end = performance.now() + 300; performance.now() < end; );
    writeSync(1, 'loaded');
  });
}
