/**
 * What batch norms in training share: tensors as rows of channels, cut into tiles for sums over rows and for passes
 * over everything, and where per-channel numbers lie in scratch memory.
 */

import { elementCount, type Shape } from '../../tensor/tensor.ts';
import { paddedChannels } from '../vector/affine-vectors.ts';
import { shares } from '../vector/vector-span.ts';

/** Rows of one partial sum: few enough that adding them up one after the other costs no accuracy. */
const SUMMED_ROWS = 128;
/** Narrow rows hold little: more of them a tile. */
const NARROW_ROWS = 256;
const NARROW = 64;
/** Channels of a tile of sums; the next tile of the same rows starts where it ends. */
const SPAN = 256;
/** f32 of each tensor that a tile of a pass over everything reads. */
const PASS_ELEMENTS = 4096;

/** N rows of C channels. */
export interface Rows {
  readonly rows: number;
  readonly channels: number;
}

export function rowsOf(shape: Shape): Rows {
  const channels = shape.at(-1) ?? 1;
  return { rows: elementCount(shape) / channels, channels };
}

export interface Share {
  readonly start: number;
  readonly count: number;
}

/** Equal shares of the rows, but for the last: one partial sum per share and channel. */
export function rowShares({ rows, channels }: Rows): readonly Share[] {
  return shares(rows, channels <= NARROW ? NARROW_ROWS : SUMMED_ROWS);
}

/** Channels of the tiles of one share of rows; all but the last begin and end at whole vectors of any target. */
export function channelSpans(channels: number): readonly Share[] {
  const spans: Share[] = [];
  for (let start = 0; start < channels; start += SPAN)
    spans.push({ start, count: Math.min(SPAN, channels - start) });
  return spans;
}

/** Rows of each tile of a pass over everything. */
export function passShares({ rows, channels }: Rows): readonly Share[] {
  return shares(rows, Math.ceil(PASS_ELEMENTS / channels));
}

/** Vectors of channels, each a tile of a step that works on per-channel numbers. */
export function vectorShares(channels: number, lanes: number): readonly Share[] {
  return Array.from({ length: Math.ceil(channels / lanes) }, (_, i) => ({
    start: i * lanes,
    count: Math.min(lanes, channels - i * lanes),
  }));
}

/** Bytes of one number per channel, in whole vectors. */
export function channelRow(channels: number): number {
  return paddedChannels(channels) * 4;
}

/** Equal groups of branches, none larger than `most`. */
export function branchGroups(branches: number, most: number): readonly Share[] {
  return branches === 0 ? [] : shares(branches, most);
}
