/**
 * What positions along one axis read, and through which taps: outputs of a window read its input, and gradients of
 * inputs read the gradients of the outputs they took part in. Borders are never padded: each position lists what
 * exists, and blocks of positions where that differs get code of their own.
 */
import { evenParts, tapsInside, type WindowAxis, windowStart } from './window-blocks.ts';

export interface Reach {
  readonly tap: number;
  /** Index along the axis that is read. */
  readonly source: number;
}

export interface ReachAxis {
  readonly positions: number;
  /** Positions so far apart read alike, but for borders. */
  readonly period: number;
  readonly reaches: (position: number) => readonly Reach[];
}

/** Outputs read the input. */
export function windowReaches(axis: WindowAxis): ReachAxis {
  return {
    positions: axis.outSize,
    period: 1,
    reaches: (position) => {
      const { first, end } = tapsInside(axis, position);
      const start = windowStart(axis, position);
      return Array.from({ length: end - first }, (_, i) => ({
        tap: first + i,
        source: start + (first + i) * axis.dilation,
      }));
    },
  };
}

/** Inputs read the outputs whose windows they lie in. */
export function gradientReaches(axis: WindowAxis): ReachAxis {
  return {
    positions: axis.size,
    period: axis.stride,
    reaches: (position) =>
      Array.from({ length: axis.kernel }, (_, tap) => ({
        tap,
        source: (position + axis.padding - tap * axis.dilation) / axis.stride,
      })).filter(({ source }) => Number.isInteger(source) && source >= 0 && source < axis.outSize),
  };
}

/** `repeat` blocks in a row that read alike. */
export interface ReachBlock {
  /** Position of the first block. */
  readonly first: number;
  /** Of each position of a block; sources count from the block's start. */
  readonly reaches: readonly (readonly Reach[])[];
  /** The least source of the first block, and how much further each next block reads. */
  readonly start: number;
  readonly advance: number;
  readonly repeat: number;
}

/** What tells the code of one block from another's. */
export function reachName(reaches: readonly (readonly Reach[])[]): string {
  return reaches.map((each) => each.map(({ tap, source }) => `${tap}@${source}`).join('+') || '-').join(' ');
}

/** All positions in blocks of at most `most`, or as many more as make a period. */
export function reachBlocks(axis: ReachAxis, most: number): readonly ReachBlock[] {
  const { period, positions } = axis;
  const blocks: ReachBlock[] = [];
  let first = 0;
  for (const periods of evenParts(Math.ceil(positions / period), Math.max(1, Math.floor(most / period)))) {
    const size = Math.min(periods * period, positions - first);
    const all = Array.from({ length: size }, (_, i) => axis.reaches(first + i));
    const start = Math.min(...all.flat().map(({ source }) => source));
    const reaches = all.map((each) => each.map(({ tap, source }) => ({ tap, source: source - start })));
    const block = { first, reaches, start: Number.isFinite(start) ? start : 0, advance: 0, repeat: 1 };
    const last = blocks.at(-1);
    const joined = last && join(last, block);
    if (joined) blocks[blocks.length - 1] = joined;
    else blocks.push(block);
    first += size;
  }
  return blocks;
}

/** One more block in the row, if it reads alike. */
function join(row: ReachBlock, next: ReachBlock): ReachBlock | undefined {
  const advance = next.start - (row.start + (row.repeat - 1) * row.advance);
  if (row.repeat > 1 && advance !== row.advance) return undefined;
  return readAlike(row.reaches, next.reaches) ? { ...row, advance, repeat: row.repeat + 1 } : undefined;
}

function readAlike(a: ReachBlock['reaches'], b: ReachBlock['reaches']): boolean {
  return (
    a.length === b.length &&
    a.every((own, i) => {
      const others = b[i] ?? [];
      const alike = ({ tap, source }: Reach, j: number): boolean =>
        tap === others[j]?.tap && source === others[j]?.source;
      return own.length === others.length && own.every(alike);
    })
  );
}
