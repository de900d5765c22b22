import type * as OrtNode from 'onnxruntime-node';
import { benchImages, channelsFirst } from '../net.ts';
import type { Runner } from './runner.ts';

/** onnxruntime-node and -web share their interface (onnxruntime-common). */
export type OrtWeb = Pick<typeof OrtNode, 'InferenceSession' | 'Tensor' | 'env'>;

export const ortMembers = ['InferenceSession', 'Tensor', 'env'] as const;

export async function runOrtWeb(
  ort: OrtWeb,
  model: Uint8Array,
  batch: number,
  threads: number,
): Promise<Runner> {
  ort.env.wasm.numThreads = threads;
  const session = await ort.InferenceSession.create(model, {
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
}
