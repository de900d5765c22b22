import { evenParts } from './window-blocks.ts';

/** Arithmetic that a tile should at least hold, so that handing it out costs nothing in comparison. */
const FLOPS_A_TILE = 1_200_000;
/** Enough tiles for a handful of threads to end together. */
const MOST_TILES = 24;

/** How many tiles a task of this much arithmetic should have. */
export function wantedTiles(flops: number): number {
  return Math.max(1, Math.min(MOST_TILES, Math.round(flops / FLOPS_A_TILE)));
}

/** first … end−1 */
export interface Span {
  readonly first: number;
  readonly end: number;
}

/** 0 … total−1 in at most `parts` spans, as equal as can be. */
export function spans(total: number, parts: number): readonly Span[] {
  let first = 0;
  return evenParts(total, Math.ceil(total / Math.max(1, Math.min(parts, total)))).map((size) => {
    const span = { first, end: first + size };
    first += size;
    return span;
  });
}
