import { benchImages } from '../net.ts';
import type { Runner } from './runner.ts';

interface LiteTensor {
  readonly toTypedArray: () => Float32Array;
  readonly delete: () => void;
}

/** What is used of @litertjs/core 2. */
export interface LiteRt {
  readonly Tensor: new (data: Float32Array, shape: readonly number[]) => LiteTensor;
  readonly loadLiteRt: (folder: string, options: { threads: boolean }) => Promise<unknown>;
  readonly loadAndCompile: (
    model: Uint8Array,
    options: { accelerator: 'wasm'; cpuOptions: { numThreads: number } },
  ) => Promise<{ readonly run: (input: LiteTensor) => Promise<readonly LiteTensor[]> }>;
}

export const liteRtMembers = ['Tensor', 'loadLiteRt', 'loadAndCompile'] as const;

/** @param scripts folder of its WebAssembly and the scripts that load it @param model a TFLite file of batch 1 */
export async function runLiteRt(
  lite: LiteRt,
  scripts: string,
  model: Uint8Array,
  threads: number,
): Promise<Runner> {
  await lite.loadLiteRt(scripts, { threads: threads > 1 });
  const compiled = await lite.loadAndCompile(model, {
    accelerator: 'wasm',
    cpuOptions: { numThreads: threads },
  });
  const { data, shape } = benchImages(1);
  return {
    info: { threads },
    run: async () => {
      const image = new lite.Tensor(data, shape);
      const [logits] = await compiled.run(image);
      if (logits === undefined) throw new Error('LiteRT.js gave no output.');
      const values = Float32Array.from(logits.toTypedArray());
      image.delete();
      logits.delete();
      return values;
    },
  };
}
