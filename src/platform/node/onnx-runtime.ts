import { readFile } from 'node:fs/promises';
import { EngineError } from '../../errors.ts';
import { errorText } from '../../image/codec.ts';
import { elementCount, type Shape, type Tensor } from '../../tensor/tensor.ts';

type Runtime = typeof import('onnxruntime-node');

/** ONNX Runtime where it is installed, to prove what was exported. */
export type OnnxRuntime =
  | { readonly found: true; readonly version: string; readonly run: RunFile }
  | { readonly found: false; readonly reason: string };

/** Runs a file on one [N,H,W,C] input; outputs come back with channels last. @throws EngineError */
export type RunFile = (path: string, input: Tensor) => Promise<Readonly<Record<string, Tensor>>>;

export async function openOnnxRuntime(): Promise<OnnxRuntime> {
  try {
    const runtime = await import('onnxruntime-node');
    const version = runtime.env.versions.node ?? runtime.env.versions.common;
    return { found: true, version, run: (path, input) => runFile(runtime, path, input) };
  } catch (cause) {
    const missing = cause instanceof Error && 'code' in cause && cause.code === 'ERR_MODULE_NOT_FOUND';
    const reason = missing ? 'onnxruntime-node is not installed' : (errorText(cause).split('\n')[0] ?? '');
    return { found: false, reason };
  }
}

async function runFile(runtime: Runtime, path: string, input: Tensor): ReturnType<RunFile> {
  try {
    const session = await runtime.InferenceSession.create(await readFile(path));
    try {
      const [n = 0, h = 0, w = 0, c = 0] = input.shape;
      const data = reorder(input.data, [n, h * w, c]);
      const name = session.inputNames[0] ?? '';
      const results = await session.run({ [name]: new runtime.Tensor('float32', data, [n, c, h, w]) });
      return Object.fromEntries(
        Object.entries(results).map(([output, value]) => [output, channelsLast(value.dims, value.data)]),
      );
    } finally {
      await session.release();
    }
  } catch (cause) {
    throw new EngineError(`ONNX Runtime refuses the file: ${errorText(cause)}.`, {}, { cause });
  }
}

function channelsLast(dims: Shape, data: unknown): Tensor {
  if (!(data instanceof Float32Array)) throw new EngineError('ONNX Runtime gave an output that is not f32.');
  const [n = 0, c = 0, ...sizes] = dims;
  return { shape: [n, ...sizes, c], data: reorder(data, [n, c, elementCount(sizes)]) };
}

/** [n, a, b] → [n, b, a] */
function reorder(data: ArrayLike<number>, [n, a, b]: readonly [number, number, number]): Float32Array {
  const out = new Float32Array(n * a * b);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < a; j++)
      for (let k = 0; k < b; k++) out[(i * b + k) * a + j] = data[(i * a + j) * b + k] ?? 0;
  return out;
}
