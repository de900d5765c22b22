import type { CompileOptions, Engine } from '../../src/engine/engine.ts';
import { memorySource } from '../../src/format/byte-source.ts';
import { readCheckpoint } from '../../src/format/read-checkpoint.ts';
import { readWeights } from '../../src/format/weights-file.ts';
import type { VariantName } from '../../src/model/config.ts';
import type { Weights } from '../../src/tensor/tensor.ts';
import { benchGraph, benchImages, imageName } from '../net.ts';
import type { Runner } from './runner.ts';

export async function parseBenchWeights(file: Uint8Array, name: string): Promise<Weights> {
  return (await readWeights(await readCheckpoint(memorySource(file, name)))).weights;
}

/** Our own engine, of Node or of a page. */
export async function runMobileone(
  engine: Engine,
  weights: Weights,
  { variant, batch }: { readonly variant: VariantName; readonly batch: number },
  options: CompileOptions,
): Promise<Runner> {
  const session = await engine.compile(benchGraph(variant, batch), weights, options);
  const image = benchImages(batch);
  return {
    info: { ...session.info },
    run: async () => {
      const { logits } = await session.run({ [imageName]: image });
      return logits?.data instanceof Float32Array ? logits.data : new Float32Array();
    },
  };
}
