/**
 * Results so large that no cache will hold them until they are read are written past the caches: else each line of
 * theirs would be fetched first, and would drive out what is read meanwhile. In kernels bound by memory this takes a
 * third of the time away.
 */

/** Rather more than a core's second cache. */
const LARGE_BYTES = 2 ** 21;

/** Whether no cache is likely to hold a tensor when it is read. */
export function isLarge(bytes: number): boolean {
  return bytes >= LARGE_BYTES;
}

/** Whether rows so many bytes apart have so few places in the first cache that two blocks of them do not fit. */
export function rowsCollide(bytes: number): boolean {
  return bytes % 2048 === 0;
}

/** Of the largest vector. */
const LANES = 16;

/**
 * Results of a single picture stay as near as they can be: all that its net works on may fit a cache behind.
 * @param bytes of the whole result, which begins at a multiple of 64
 * @param numbers f32 from one place where vectors are stored from to the next
 */
export function storesPast(images: number, bytes: number, numbers: number): boolean {
  return images > 1 && isLarge(bytes) && numbers % LANES === 0;
}
