import { FormatError } from '../errors.ts';
import { rawToTensor, tensorToRaw } from '../tensor/raw.ts';
import type { RawTensor, Tensor, Weights } from '../tensor/tensor.ts';
import type { Checkpoint } from './checkpoint.ts';
import { detectFamily, type Form, toCanonicalNames, toFamilyNames } from './names/family-names.ts';
import type { Family } from './names/key-maps.ts';
import { writeSafetensors } from './safetensors/safetensors-write.ts';

export interface ReadWeights {
  readonly family: Family;
  readonly form: Form;
  /** By our names, f32 (f64 where the file has f64). */
  readonly weights: Weights;
  /** Names in the file that the family does not have; not read. */
  readonly unknown: readonly string[];
}

/**
 * Reads the tensors of a checkpoint of any family under our names.
 * @throws WeightsError when the names are of no known family; FormatError when a tensor cannot be read
 */
export async function readWeights(checkpoint: Checkpoint): Promise<ReadWeights> {
  const { family, form } = detectFamily(checkpoint.tensors.keys());
  const { names, unknown } = toCanonicalNames(checkpoint.tensors.keys(), family);
  const weights = new Map<string, Tensor>();
  for (const [name, canonical] of names) {
    const lazy = checkpoint.tensors.get(name);
    if (!lazy) continue;
    if (lazy.dtype.startsWith('c')) {
      throw new FormatError(`tensor "${name}" is ${lazy.dtype}; the weights of a net are real numbers.`);
    }
    weights.set(canonical, rawToTensor(await lazy.read()));
  }
  return { family, form, weights, unknown };
}

/**
 * Weights as one safetensors file under a family's names, complete with `num_batches_tracked` where it has them.
 * @throws WeightsError for a name that is not ours
 */
export function writeWeights(
  weights: Weights,
  family: Family,
  metadata: Readonly<Record<string, string>> = {},
  dtype: 'f32' | 'f16' | 'bf16' | 'f64' = 'f32',
): Uint8Array {
  const tensors = new Map<string, RawTensor>();
  for (const { name, canonical } of toFamilyNames(weights.keys(), family)) {
    const tensor = canonical === null ? undefined : weights.get(canonical);
    tensors.set(
      name,
      tensor ? tensorToRaw(tensor, dtype) : { dtype: 'i64', shape: [], bytes: new Uint8Array(8) },
    );
  }
  return writeSafetensors(tensors, metadata);
}
