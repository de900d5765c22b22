import { readFile } from 'node:fs/promises';
import { EngineError } from '../../errors.ts';
import { errorText } from '../../image/codec.ts';
import type { OnnxAnswers } from '../../task/verify-decoding.ts';
import { elementCount, type Shape, type Tensor } from '../../tensor/tensor.ts';

type Runtime = typeof import('onnxruntime-node');

/** ONNX Runtime where it is installed, to prove what was exported and to be measured against. */
export type OnnxRuntime =
  | {
      readonly found: true;
      readonly version: string;
      readonly run: RunFile;
      readonly answers: AnswersOf;
      readonly open: OpenModel;
    }
  | { readonly found: false; readonly reason: string };

/** Runs a file on one [N,H,W,C] input; outputs come back with channels last. @throws EngineError */
export type RunFile = (path: string, input: Tensor) => Promise<Readonly<Record<string, Tensor>>>;

/** The same, outputs as the file gives them. @throws EngineError */
export type AnswersOf = (path: string, input: Tensor) => Promise<OnnxAnswers>;

/** @param threads that one op may use; absent, the runtime's default. @throws EngineError */
export type OpenModel = (file: Uint8Array, threads?: number) => Promise<OnnxModel>;

export interface OnnxModel {
  /** Takes one [N,H,W,C] input into the runtime's layout once. @returns what runs it and gives [N,C,…] outputs */
  readonly prepare: (input: Tensor) => () => Promise<NativeOutputs>;
  readonly release: () => Promise<void>;
}

type NativeOutputs = Awaited<ReturnType<import('onnxruntime-node').InferenceSession['run']>>;

export async function openOnnxRuntime(): Promise<OnnxRuntime> {
  try {
    const runtime = await import('onnxruntime-node');
    const version = runtime.env.versions.node ?? runtime.env.versions.common;
    return {
      found: true,
      version,
      run: (path, input) => runFile(runtime, path, input, tensorsOf),
      answers: (path, input) => runFile(runtime, path, input, plainOutputs),
      open: (file, threads) => openModel(runtime, file, threads),
    };
  } catch (cause) {
    const missing = cause instanceof Error && 'code' in cause && cause.code === 'ERR_MODULE_NOT_FOUND';
    const reason = missing ? 'onnxruntime-node is not installed' : (errorText(cause).split('\n')[0] ?? '');
    return { found: false, reason };
  }
}

async function runFile<T>(
  runtime: Runtime,
  path: string,
  input: Tensor,
  read: (outputs: NativeOutputs) => T,
): Promise<T> {
  const model = await openModel(runtime, await readFile(path));
  try {
    return read(await model.prepare(input)());
  } finally {
    await model.release();
  }
}

async function openModel(runtime: Runtime, file: Uint8Array, threads?: number): Promise<OnnxModel> {
  const limits = threads === undefined ? {} : { intraOpNumThreads: threads, interOpNumThreads: 1 };
  const session = await refused(runtime.InferenceSession.create(file, limits));
  return {
    prepare: (input) => {
      const [n = 0, h = 0, w = 0, c = 0] = input.shape;
      const data = reorder(input.data, [n, h * w, c]);
      const feeds = { [session.inputNames[0] ?? '']: new runtime.Tensor('float32', data, [n, c, h, w]) };
      return () => refused(session.run(feeds));
    },
    release: () => session.release(),
  };
}

async function refused<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    throw new EngineError(`ONNX Runtime refuses the file: ${errorText(cause)}.`, {}, { cause });
  }
}

/** Outputs with channels last. @throws EngineError for one that is not f32 */
export function tensorsOf(outputs: NativeOutputs): Readonly<Record<string, Tensor>> {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, value]) => [name, channelsLast(value.dims, value.data)]),
  );
}

/** Outputs as they are; integers become numbers. */
function plainOutputs(outputs: NativeOutputs): OnnxAnswers {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { dims, data }]) => {
      if (data instanceof Float32Array) return [name, { shape: dims, data }];
      if (data instanceof BigInt64Array)
        return [name, { shape: dims, data: Float64Array.from(data, Number) }];
      throw new EngineError(`ONNX Runtime gave an output "${name}" that is neither f32 nor int64.`);
    }),
  );
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
