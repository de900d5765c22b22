import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { VariantName } from '../../src/model/config.ts';
import { nodeCpuEngine } from '../../src/platform/node/cpu-engine.ts';
import type { Weights } from '../../src/tensor/tensor.ts';
import { parseBenchWeights, runMobileone } from '../runners/mobileone.ts';
import { type Adapter, modelFiles } from './adapter.ts';

export async function readBenchWeights(folder: string, variant: VariantName): Promise<Weights> {
  const name = modelFiles.weights(variant);
  return parseBenchWeights(await readFile(join(folder, name)), name);
}

/** Our own engine. */
export const mobileone: Adapter = async ({ variant, batch, threads, folder, target, precision }) => {
  const weights = await readBenchWeights(folder, variant);
  const options = { threads, ...(target && { target }), ...(precision && { precision }) };
  return runMobileone(await nodeCpuEngine(), weights, { variant, batch }, options);
};
