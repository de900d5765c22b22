/**
 * Results so large that no cache will hold them until they are read are written past the caches: else each line of
 * theirs would be fetched first, and would drive out what is read meanwhile. In kernels bound by memory this takes a
 * third of the time away.
 */

/** Rather more than a core's second cache. */
const LARGE_BYTES = 2 ** 21;
/** Of the largest vector. */
const LANES = 16;

/**
 * @param bytes of the whole result, which begins at a multiple of 64
 * @param numbers f32 from one place where vectors are stored from to the next
 */
export function storesPast(bytes: number, numbers: number): boolean {
  return bytes >= LARGE_BYTES && numbers % LANES === 0;
}
