import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { memorySource } from '../../src/format/byte-source.ts';
import { readCheckpoint } from '../../src/format/read-checkpoint.ts';
import { readWeights } from '../../src/format/weights-file.ts';
import type { VariantName } from '../../src/model/config.ts';
import { nodeCpuEngine } from '../../src/platform/node/cpu-engine.ts';
import type { Weights } from '../../src/tensor/tensor.ts';
import { benchGraph, benchImages, imageName } from '../net.ts';
import { type Adapter, modelFiles } from './adapter.ts';

export async function readBenchWeights(folder: string, variant: VariantName): Promise<Weights> {
  const name = modelFiles.weights(variant);
  const bytes = await readFile(join(folder, name));
  return (await readWeights(await readCheckpoint(memorySource(bytes, name)))).weights;
}

/** Our own engine. */
export const mobileone: Adapter = async ({ variant, batch, threads, folder, target, precision }) => {
  const engine = await nodeCpuEngine();
  const weights = await readBenchWeights(folder, variant);
  const options = { threads, ...(target && { target }), ...(precision && { precision }) };
  const session = await engine.compile(benchGraph(variant, batch), weights, options);
  const image = benchImages(batch);
  return {
    info: { ...session.info },
    run: async () => {
      const { logits } = await session.run({ [imageName]: image });
      return logits?.data instanceof Float32Array ? logits.data : new Float32Array();
    },
  };
};
