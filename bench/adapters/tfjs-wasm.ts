import { Blob } from 'node:buffer';
import { writeFileSync } from 'node:fs';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import os from 'node:os';
import { join } from 'node:path';
import { runTf, type Tf, type TfWasm } from '../runners/tfjs.ts';
import { type Adapter, importRival, missingRival, rivalPath } from './adapter.ts';
import { readBenchWeights } from './mobileone.ts';

const wasmFolder = '@tensorflow/tfjs-backend-wasm/wasm-out/';

/**
 * The WASM backend believes that Node has no threads, and starts its workers from a blob: address, which
 * worker_threads refuses. This puts the worker into a file that loads the backend's own script from its folder.
 * The backend also halves the number of cores that it sees, so it is shown twice as many.
 */
function allowThreads(folder: string): void {
  const path = rivalPath(wasmFolder);
  const script: unknown = createRequire(import.meta.url)(
    join(path, 'tfjs-backend-wasm-threaded-simd.worker.js'),
  );
  const contents =
    typeof script === 'object' && script !== null && 'wasmWorkerContents' in script
      ? String(script.wasmWorkerContents)
      : '';
  const load = `importScripts(${JSON.stringify(join(path, 'tfjs-backend-wasm-threaded-simd.js'))});`;
  const worker = join(folder, 'tfjs-worker.cjs');
  const byAddress = /if\(typeof e\.data\.urlOrBlob=="string"\)\{.*?\}else\{.*?\}/;
  if (!byAddress.test(contents)) throw new Error('tfjs-wasm: its worker script is of another version.');
  writeFileSync(worker, contents.replace(/\n/g, '\\n').replace(byAddress, load));
  const original = URL.createObjectURL;
  URL.createObjectURL = (blob) =>
    blob instanceof Blob && blob.type === 'application/javascript' ? worker : original(blob);
  const { cpus } = os;
  os.cpus = () => [...cpus(), ...cpus()];
  syncBuiltinESMExports();
}

export const tfjsWasm: Adapter = async ({ variant, batch, threads, folder }) => {
  const missing = missingRival('@tensorflow/tfjs') ?? missingRival('@tensorflow/tfjs-backend-wasm');
  if (missing) return { unavailable: missing };
  const { default: tf } = await importRival<{ default: Tf }>('@tensorflow/tfjs/dist/tf.node.js', ['default']);
  const { default: wasm } = await importRival<{ default: TfWasm }>(
    '@tensorflow/tfjs-backend-wasm/dist/tf-backend-wasm.node.js',
    ['default'],
  );
  if (threads > 1) allowThreads(folder);
  const weights = await readBenchWeights(folder, variant);
  return runTf(tf, wasm, rivalPath(wasmFolder), { variant, batch, threads, weights });
};
