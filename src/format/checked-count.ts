import type { Shape } from '../tensor/tensor.ts';

/**
 * The number of elements of an untrusted shape; undefined when a dimension is no whole number from 0 to 2^53 or
 * the product passes 2^53/16, so that the count times any element width is still exact.
 */
export function checkedCount(shape: Shape): number | undefined {
  if (!shape.every((dim) => Number.isSafeInteger(dim) && dim >= 0)) return undefined;
  if (shape.includes(0)) return 0;
  let count = 1;
  for (const dim of shape) {
    count *= dim;
    if (count > Number.MAX_SAFE_INTEGER / 16) return undefined;
  }
  return count;
}
