/**
 * Output positions along one axis, cut into blocks that a kernel computes at once. Borders are never padded:
 * each position says which taps of the window lie inside the input, and blocks where that differs get code of
 * their own.
 */
import type { WindowGeometry } from '../../graph/geometry.ts';

/** One axis of a window over an input of `size` elements. */
export interface WindowAxis {
  readonly size: number;
  readonly outSize: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  /** Before the first element. */
  readonly padding: number;
}

export function windowAxis(geometry: WindowGeometry, axis: 0 | 1, size: number, outSize: number): WindowAxis {
  return {
    size,
    outSize,
    kernel: geometry.kernel[axis],
    stride: geometry.stride[axis],
    dilation: geometry.dilation[axis],
    padding: geometry.padding[axis],
  };
}

/** Taps first … end−1 read inside the input; none when first = end. */
export interface TapRange {
  readonly first: number;
  readonly end: number;
}

/** Where the window of an output position starts in the input; negative inside the padding. */
export function windowStart(axis: WindowAxis, position: number): number {
  return position * axis.stride - axis.padding;
}

export function tapsInside(axis: WindowAxis, position: number): TapRange {
  const start = windowStart(axis, position);
  const first = Math.min(axis.kernel, Math.max(0, Math.ceil(-start / axis.dilation)));
  const end = Math.min(axis.kernel, Math.floor((axis.size - 1 - start) / axis.dilation) + 1);
  return { first, end: Math.max(first, end) };
}

/** `repeat` blocks in a row, each of `taps.length` positions; block b starts at first + b·taps.length. */
export interface WindowBlock {
  readonly first: number;
  readonly taps: readonly TapRange[];
  readonly repeat: number;
}

export const isWhole = (kernel: number, taps: TapRange): boolean => taps.first === 0 && taps.end === kernel;

/** What tells the code of one block from another's. */
export function blockName(kernel: number, block: Pick<WindowBlock, 'taps'>): string {
  const whole = block.taps.every((taps) => isWhole(kernel, taps));
  if (whole) return `${block.taps.length}`;
  return `${block.taps.length}(${block.taps.map(({ first, end }) => `${first}-${end}`).join(' ')})`;
}

/** Sizes of the fewest parts of at most `most`, as equal as can be, larger ones first. */
export function evenParts(total: number, most: number): number[] {
  const count = Math.ceil(total / most);
  const small = Math.floor(total / count);
  const larger = total - small * count;
  return Array.from({ length: count }, (_, i) => (i < larger ? small + 1 : small));
}

/** All output positions in blocks of at most `most`; like neighbours that see whole windows are one row. */
export function windowBlocks(axis: WindowAxis, most: number): WindowBlock[] {
  const blocks: WindowBlock[] = [];
  let first = 0;
  for (const size of evenParts(axis.outSize, most)) {
    const taps = Array.from({ length: size }, (_, i) => tapsInside(axis, first + i));
    const last = blocks.at(-1);
    const whole = taps.every((range) => isWhole(axis.kernel, range));
    if (whole && last?.taps.length === size && last.taps.every((range) => isWhole(axis.kernel, range)))
      blocks[blocks.length - 1] = { ...last, repeat: last.repeat + 1 };
    else blocks.push({ first, taps, repeat: 1 });
    first += size;
  }
  return blocks;
}

/** Output positions first … end−1 in runs for which the same taps lie inside the input. */
export function likePositions(axis: WindowAxis): { readonly first: number; readonly end: number }[] {
  const runs: { first: number; end: number }[] = [];
  let key = '';
  for (let position = 0; position < axis.outSize; position++) {
    const taps = tapsInside(axis, position);
    const last = runs.at(-1);
    const next = `${taps.first}-${taps.end}`;
    // A run whose first tap is inside only after some padding starts at another input row each time.
    if (last !== undefined && next === key && isWhole(axis.kernel, taps)) last.end = position + 1;
    else runs.push({ first: position, end: position + 1 });
    key = next;
  }
  return runs;
}
