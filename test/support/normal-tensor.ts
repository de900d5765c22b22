import type { Random } from '../../src/tensor/random.ts';
import { elementCount, type Shape, type Tensor } from '../../src/tensor/tensor.ts';

/** Standard normal numbers. */
export function normalTensor(shape: Shape, random: Pick<Random, 'normal'>): Tensor<Float32Array> {
  return { shape, data: Float32Array.from({ length: elementCount(shape) }, () => random.normal()) };
}
