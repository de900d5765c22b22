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

/** More than this are not looked through for each other: a step of training has thousands, few of them large. */
const MOST_LARGE = 1024;

interface Sized extends Lifetime {
  readonly index: number;
  readonly size: number;
}

/**
 * Lays lifetimes into one arena: the largest first, each into the smallest gap that holds it between those alive
 * at the same time, or behind them. Of very many the smaller ones lie behind all others, placed in order of time.
 */
export function layOut(lifetimes: readonly Lifetime[], alignment = 64): Arena {
  const offsets = lifetimes.map(() => 0);
  const bySize = lifetimes
    .map((lifetime, index): Sized => ({ ...lifetime, index, size: alignUp(lifetime.bytes, alignment) }))
    .filter(({ size }) => size > 0)
    .sort((a, b) => b.size - a.size || a.first - b.first);
  const place = (
    all: readonly Sized[],
    from: number,
    stays: (old: Placed, next: Sized) => boolean,
  ): number => {
    let placed: Placed[] = [];
    let end = from;
    for (const next of all) {
      const { index, size, first, last } = next;
      placed = placed.filter((old) => stays(old, next));
      const start = bestGap(
        placed.filter((old) => old.first <= last && first <= old.last),
        size,
        from,
      );
      offsets[index] = start;
      end = Math.max(end, start + size);
      const at = placed.findIndex((old) => old.start > start);
      placed.splice(at < 0 ? placed.length : at, 0, { start, end: start + size, first, last });
    }
    return end;
  };
  const large = place(bySize.slice(0, MOST_LARGE), 0, () => true);
  const byTime = bySize.slice(MOST_LARGE).sort((a, b) => a.first - b.first);
  return { offsets, bytes: place(byTime, large, (old, next) => old.last >= next.first) };
}

interface Placed {
  readonly start: number;
  readonly end: number;
  readonly first: number;
  readonly last: number;
}

/** @param busy in order of start */
function bestGap(busy: readonly Placed[], size: number, from: number): number {
  let free = from;
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
