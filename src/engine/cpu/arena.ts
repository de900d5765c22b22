/** A stretch of memory needed from one task to another, both included. */
export interface Lifetime {
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

export interface Arena {
  /** One offset per lifetime, in their order; multiples of `alignment`. */
  readonly offsets: readonly number[];
  readonly bytes: number;
}

export function alignUp(bytes: number, alignment: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}

/**
 * Lays lifetimes into one arena: the largest first, each into the smallest gap that holds it between those alive
 * at the same time, or behind them.
 */
export function layOut(lifetimes: readonly Lifetime[], alignment = 64): Arena {
  const offsets = lifetimes.map(() => 0);
  const bySize = lifetimes
    .map((lifetime, index) => ({ ...lifetime, index, size: alignUp(lifetime.bytes, alignment) }))
    .sort((a, b) => b.size - a.size || a.first - b.first);
  const placed: { start: number; end: number; first: number; last: number }[] = [];
  let bytes = 0;
  for (const { index, size, first, last } of bySize) {
    if (size === 0) continue;
    const busy = placed.filter((other) => other.first <= last && first <= other.last);
    const start = bestGap(busy, size);
    offsets[index] = start;
    bytes = Math.max(bytes, start + size);
    const at = placed.findIndex((other) => other.start > start);
    placed.splice(at < 0 ? placed.length : at, 0, { start, end: start + size, first, last });
  }
  return { offsets, bytes };
}

/** @param busy in order of start */
function bestGap(busy: readonly { readonly start: number; readonly end: number }[], size: number): number {
  let free = 0;
  let best = -1;
  let bestSize = Number.POSITIVE_INFINITY;
  for (const { start, end } of busy) {
    const gap = start - free;
    if (gap >= size && gap < bestSize) {
      best = free;
      bestSize = gap;
    }
    free = Math.max(free, end);
  }
  return best < 0 ? free : best;
}
