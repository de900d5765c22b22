import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type * as OrtNode from 'onnxruntime-node';
import { benchImages, channelsFirst } from '../net.ts';
import { type Adapter, importRival, missingRival, modelFiles } from './adapter.ts';

/** The two packages share their interface (onnxruntime-common). */
type Ort = Pick<typeof OrtNode, 'InferenceSession' | 'Tensor' | 'env'>;

export const onnxruntimeWeb: Adapter = async ({ variant, batch, threads, folder }) => {
  const missing = missingRival('onnxruntime-web');
  if (missing) return { unavailable: missing };
  const file = 'onnxruntime-web/dist/ort.node.min.mjs';
  const ort = await importRival<Ort>(file, ['InferenceSession', 'Tensor', 'env']);
  ort.env.wasm.numThreads = threads;
  const model = await readFile(join(folder, modelFiles.onnx(variant)));
  const session = await ort.InferenceSession.create(new Uint8Array(model), {
    executionProviders: ['wasm'],
    graphOptimizationLevel: 'all',
  });
  const { shape, data } = channelsFirst(benchImages(batch));
  return {
    info: { version: ort.env.versions.web ?? '', threads: ort.env.wasm.numThreads },
    run: async () => {
      const results = await session.run({ input: new ort.Tensor('float32', data, shape) });
      const logits = results.logits?.data;
      if (!(logits instanceof Float32Array)) throw new Error('onnxruntime-web: the logits are not f32.');
      return logits;
    },
  };
};
