import type { VariantName } from '../../src/model/config.ts';
import type { Weights } from '../../src/tensor/tensor.ts';
import { type ChainLayer, chainOf, permuteAxes } from '../formats/chain.ts';
import { benchGraph, benchImages } from '../net.ts';
import type { Runner } from './runner.ts';

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

/** What is used of @tensorflow/tfjs 4. */
export interface Tf {
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

/** What is used of its WebAssembly backend. */
export interface TfWasm {
  readonly setWasmPaths: (folder: string) => void;
  readonly setThreadsCount: (count: number) => void;
  readonly getThreadsCount: () => number;
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

export interface TfNet {
  readonly variant: VariantName;
  readonly batch: number;
  readonly threads: number;
  readonly weights: Weights;
}

/** @param folder of the backend's WebAssembly, with a slash at its end */
export async function runTf(
  tf: Tf,
  wasm: TfWasm,
  folder: string,
  { variant, batch, threads, weights }: TfNet,
): Promise<Runner> {
  wasm.setWasmPaths(folder);
  tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', threads > 1);
  wasm.setThreadsCount(threads);
  await tf.setBackend('wasm');
  await tf.ready();
  const steps = chainOf({ graph: benchGraph(variant, batch), weights }).map((layer) => stepOf(tf, layer));
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
}
