import { Blob } from 'node:buffer';
import { writeFileSync } from 'node:fs';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import os from 'node:os';
import { join } from 'node:path';
import { type ChainLayer, chainOf, permuteAxes } from '../formats/chain.ts';
import { benchGraph, benchImages } from '../net.ts';
import { type Adapter, importRival, missingRival, rivalPath } from './adapter.ts';
import { readBenchWeights } from './mobileone.ts';

interface TfTensor {
  readonly data: () => Promise<Float32Array>;
  readonly dispose: () => void;
}

interface FusedConv {
  readonly x: TfTensor;
  readonly filter: TfTensor;
  readonly strides: number;
  readonly pad: number;
  readonly bias: TfTensor;
  readonly activation: 'relu' | 'linear';
}

/** What the adapter uses of @tensorflow/tfjs 4. */
interface Tf {
  readonly tensor: (data: Float32Array, shape: readonly number[]) => TfTensor;
  readonly tidy: (compute: () => TfTensor) => TfTensor;
  readonly mean: (x: TfTensor, axes: readonly number[]) => TfTensor;
  readonly fused: {
    readonly conv2d: (options: FusedConv) => TfTensor;
    readonly depthwiseConv2d: (options: FusedConv) => TfTensor;
    readonly matMul: (options: { a: TfTensor; b: TfTensor; bias: TfTensor }) => TfTensor;
  };
  readonly env: () => { readonly set: (flag: string, value: boolean) => void };
  readonly setBackend: (name: string) => Promise<boolean>;
  readonly ready: () => Promise<void>;
  readonly version: { readonly tfjs: string };
}

interface TfWasm {
  readonly setWasmPaths: (folder: string) => void;
  readonly setThreadsCount: (count: number) => void;
  readonly getThreadsCount: () => number;
}

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

type Step = (x: TfTensor) => TfTensor;

function stepOf(tf: Tf, layer: ChainLayer): Step {
  if (layer.kind === 'pool') return (x) => tf.mean(x, [1, 2]);
  const bias = tf.tensor(Float32Array.from(layer.bias.data), layer.bias.shape);
  if (layer.kind === 'linear') {
    const [outputs = 0, inputs = 0] = layer.weight.shape;
    const weight = tf.tensor(permuteAxes(layer.weight, [1, 0]), [inputs, outputs]);
    return (x) => tf.fused.matMul({ a: x, b: weight, bias });
  }
  const { weight, geometry, relu } = layer;
  const depthwise = geometry.groups > 1;
  const order = depthwise ? [2, 3, 0, 1] : [2, 3, 1, 0];
  const filter = tf.tensor(
    permuteAxes(weight, order),
    order.map((axis) => weight.shape[axis] ?? 1),
  );
  const convolve = depthwise ? tf.fused.depthwiseConv2d : tf.fused.conv2d;
  const [strides, pad] = [geometry.stride[0], geometry.padding[0]];
  return (x) => convolve({ x, filter, strides, pad, bias, activation: relu ? 'relu' : 'linear' });
}

export const tfjsWasm: Adapter = async ({ variant, batch, threads, folder }) => {
  const missing = missingRival('@tensorflow/tfjs') ?? missingRival('@tensorflow/tfjs-backend-wasm');
  if (missing) return { unavailable: missing };
  const { default: tf } = await importRival<{ default: Tf }>('@tensorflow/tfjs/dist/tf.node.js', ['default']);
  const { default: wasm } = await importRival<{ default: TfWasm }>(
    '@tensorflow/tfjs-backend-wasm/dist/tf-backend-wasm.node.js',
    ['default'],
  );
  wasm.setWasmPaths(rivalPath(wasmFolder));
  if (threads > 1) {
    allowThreads(folder);
    tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', true);
  }
  wasm.setThreadsCount(threads);
  await tf.setBackend('wasm');
  await tf.ready();
  const steps = chainOf({
    graph: benchGraph(variant, batch),
    weights: await readBenchWeights(folder, variant),
  }).map((layer) => stepOf(tf, layer));
  const { data, shape } = benchImages(batch);
  return {
    info: { version: tf.version.tfjs, threads: wasm.getThreadsCount() },
    run: async () => {
      const image = tf.tensor(data, shape);
      const logits = tf.tidy(() => steps.reduce((x, step) => step(x), image));
      const values = await logits.data();
      logits.dispose();
      image.dispose();
      return values;
    },
  };
};
