/** The program of a thread that loads pictures in Node. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { type BatchRequest, serveBatches } from '../../data/loader/worker-pool.ts';
import { createNodeDecoder } from './image-decoder.ts';
import type { LoaderWorkerData } from './loader-workers.ts';
import { passGate } from './loading-gate.ts';

const { decoder, gate }: LoaderWorkerData = workerData;
const tools = passGate(gate, () => createNodeDecoder({ decoder })).then((loaded) => ({
  decoder: loaded ?? never(),
  read: (location: string, path: string) => readFile(join(location, path)),
}));
tools.catch(() => {}); // each request is told
const serve = serveBatches(tools, (reply, transfer) => parentPort?.postMessage(reply, transfer));
parentPort?.on('message', (request: BatchRequest) => serve(request));

function never(): never {
  throw new Error('the process is ending');
}
