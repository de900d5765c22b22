import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { benchImages, channelsFirst } from '../net.ts';
import { type Adapter, modelFiles } from './adapter.ts';

/** A session as a user would open it, with as many threads as the row says. */
export function openSession(file: Uint8Array, threads: number): Promise<ort.InferenceSession> {
  return ort.InferenceSession.create(file, {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
  });
}

/** @throws Error when an output is not f32 */
export function floatsOf(results: ort.InferenceSession.OnnxValueMapType, name: string): Float32Array {
  const data = results[name]?.data;
  if (!(data instanceof Float32Array)) throw new Error(`onnxruntime-node: output "${name}" is not f32.`);
  return data;
}

export const onnxruntimeNode: Adapter = async ({ variant, batch, threads, folder, quantized }) => {
  const name = quantized ? modelFiles.quantized(variant) : modelFiles.onnx(variant);
  const session = await openSession(await readFile(join(folder, name)), threads);
  const { shape, data } = channelsFirst(benchImages(batch));
  return {
    info: { version: ort.env.versions.node ?? '', threads },
    run: async () => {
      const results = await session.run({ input: new ort.Tensor('float32', data, shape) });
      return floatsOf(results, 'logits');
    },
  };
};
