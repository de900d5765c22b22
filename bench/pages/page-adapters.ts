/** How engines are loaded in a page, by the names that rows give them. */
import { browserCpuEngine } from '../../src/platform/browser/cpu-engine.ts';
import { type LiteRt, liteRtMembers, runLiteRt } from '../runners/litert.ts';
import { parseBenchWeights, runMobileone } from '../runners/mobileone.ts';
import { type OrtWeb, ortMembers, runOrtWeb } from '../runners/onnxruntime-web.ts';
import { type Runner, withMembers } from '../runners/runner.ts';
import { runTf, type Tf, type TfWasm } from '../runners/tfjs.ts';
import type { PageJob } from './page-job.ts';

async function fetchBytes(address: string): Promise<Uint8Array> {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

function loadScript(address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.src = address;
    script.onload = () => resolve();
    script.onerror = () => reject(new Error(`${address} cannot be loaded`));
    document.head.append(script);
  });
}

const weightsOf = async ({ models, variant }: PageJob) =>
  parseBenchWeights(await fetchBytes(`${models}${variant}.safetensors`), variant);

export const pageAdapters: Readonly<Record<string, (job: PageJob) => Promise<Runner>>> = {
  mobileone: async (job) => {
    const { variant, threads, target } = job;
    const options = { threads, ...(target && { target }) };
    return runMobileone(browserCpuEngine(), await weightsOf(job), { variant, batch: 1 }, options);
  },
  onnxruntimeWeb: async ({ models, rivals, variant, threads }) => {
    const folder = `${rivals}onnxruntime-web/dist/`;
    const file = 'ort.wasm.min.mjs';
    const ort = withMembers<OrtWeb>(await import(folder + file), file, ortMembers);
    ort.env.wasm.wasmPaths = folder;
    return runOrtWeb(ort, await fetchBytes(`${models}${variant}.onnx`), 1, threads);
  },
  litert: async ({ models, rivals, variant, threads }) => {
    const folder = `${rivals}@litertjs/core/`;
    const lite = withMembers<LiteRt>(await import(`${folder}dist/index.js`), 'LiteRT.js', liteRtMembers);
    return runLiteRt(lite, `${folder}wasm/`, await fetchBytes(`${models}${variant}.tflite`), threads);
  },
  tfjsWasm: async (job) => {
    // The backend halves the number of cores that it sees.
    const cores = 2 * navigator.hardwareConcurrency;
    Object.defineProperty(Navigator.prototype, 'hardwareConcurrency', { get: () => cores });
    const backend = `${job.rivals}@tensorflow/tfjs-backend-wasm/`;
    await loadScript(`${job.rivals}@tensorflow/tfjs/dist/tf.min.js`);
    await loadScript(`${backend}dist/tf-backend-wasm.min.js`);
    const { tf } = withMembers<{ tf: Tf & { wasm: TfWasm } }>(globalThis, 'tfjs', ['tf']);
    const { variant, threads } = job;
    return runTf(tf, tf.wasm, `${backend}wasm-out/`, {
      variant,
      batch: 1,
      threads,
      weights: await weightsOf(job),
    });
  },
};
