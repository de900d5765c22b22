import type { Tensor } from '../../src/tensor/tensor.ts';

/** onnxruntime-node as referee: a development dependency, absent where it could not be installed. */

type Runtime = typeof import('onnxruntime-node');

let found: Runtime | undefined;
let absence: string | undefined;
try {
  found = await import('onnxruntime-node');
} catch (error) {
  absence = `onnxruntime-node cannot be loaded: ${error instanceof Error ? error.message : error}`;
}

/** Value for a test's `skip` option. */
export const skipWithoutRuntime: false | string = absence ?? false;

/** Runs an ONNX file on one thread; arrays are in the file's own layout. */
export async function runOnnxFile(
  bytes: Uint8Array,
  runs: readonly Readonly<Record<string, Tensor>>[],
): Promise<readonly Readonly<Record<string, Tensor>>[]> {
  if (found === undefined) throw new Error(absence);
  const { InferenceSession, Tensor: OrtTensor } = found;
  const session = await InferenceSession.create(bytes, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  const results: Record<string, Tensor>[] = [];
  for (const inputs of runs) {
    const feeds = Object.fromEntries(
      Object.entries(inputs).map(([name, { shape, data }]) => [
        name,
        new OrtTensor('float32', Float32Array.from(data), shape),
      ]),
    );
    const outputs = await session.run(feeds);
    results.push(
      Object.fromEntries(
        Object.entries(outputs).map(([name, { dims, data }]) => {
          if (!(data instanceof Float32Array)) throw new Error(`output "${name}" is not float32`);
          return [name, { shape: dims, data }];
        }),
      ),
    );
  }
  await session.release();
  return results;
}
