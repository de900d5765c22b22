import { DataError } from '../../errors.ts';
import type { Box } from './box.ts';

/**
 * A binary mask as COCO stores it: lengths of runs down the columns, one column after the other, of background and
 * foreground in turn, background first (so the first may be 0).
 */
export interface MaskRle {
  readonly height: number;
  readonly width: number;
  readonly counts: Uint32Array;
}

/** Runs of columns. @param mask row by row, non-zero is foreground */
export function encodeMask(mask: ArrayLike<number>, height: number, width: number): MaskRle {
  const counts: number[] = [];
  let [run, foreground] = [0, false];
  for (let column = 0; column < width; column++)
    for (let row = 0; row < height; row++) {
      if (((mask[row * width + column] ?? 0) !== 0) !== foreground) {
        counts.push(run);
        run = 0;
        foreground = !foreground;
      }
      run++;
    }
  counts.push(run);
  return { height, width, counts: Uint32Array.from(counts) };
}

/** @returns row by row, 1 is foreground */
export function decodeMask({ height, width, counts }: MaskRle): Uint8Array {
  const mask = new Uint8Array(height * width);
  let position = 0;
  counts.forEach((count, i) => {
    for (const end = position + count; position < end; position++)
      if (i % 2 === 1) mask[(position % height) * width + Math.floor(position / height)] = 1;
  });
  return mask;
}

export function maskArea({ counts }: MaskRle): number {
  let area = 0;
  for (let i = 1; i < counts.length; i += 2) area += counts[i] ?? 0;
  return area;
}

/** The smallest box that holds the foreground; all zeros where there is none. */
export function maskBox({ height, counts }: MaskRle): Box {
  let [left, top, right, bottom, position] = [Number.POSITIVE_INFINITY, height, -1, -1, 0];
  counts.forEach((count, i) => {
    const [first, last] = [position, position + count - 1];
    position += count;
    if (i % 2 === 0 || count === 0) return;
    const [from, to] = [Math.floor(first / height), Math.floor(last / height)];
    left = Math.min(left, from);
    right = Math.max(right, to);
    top = from === to ? Math.min(top, first % height) : 0;
    bottom = from === to ? Math.max(bottom, last % height) : height - 1;
  });
  return right < 0 ? [0, 0, 0, 0] : [left, top, right - left + 1, bottom - top + 1];
}

/** As `boxIou`, of masks of one size. @throws DataError when their sizes differ */
export function maskIou(a: MaskRle, b: MaskRle, bIsCrowd = false): number {
  if (a.height !== b.height || a.width !== b.width)
    throw new DataError(
      `masks: both must be of one size, found ${a.width}×${a.height} and ${b.width}×${b.height}.`,
    );
  const common = commonArea(a.counts, b.counts);
  const own = maskArea(a);
  const whole = bIsCrowd ? own : own + maskArea(b) - common;
  return common === 0 ? 0 : common / whole;
}

function commonArea(a: Uint32Array, b: Uint32Array): number {
  let [i, j, common] = [0, 0, 0];
  let [leftA, leftB] = [a[0] ?? 0, b[0] ?? 0];
  while (i < a.length && j < b.length) {
    const step = Math.min(leftA, leftB);
    if (i % 2 === 1 && j % 2 === 1) common += step;
    leftA -= step;
    leftB -= step;
    if (leftA === 0) leftA = a[++i] ?? 0;
    if (leftB === 0) leftB = b[++j] ?? 0;
  }
  return common;
}

/** Foreground of any of them. @throws DataError when there is none, or sizes differ */
export function mergeMasks(masks: readonly MaskRle[]): MaskRle {
  const [first, ...others] = masks;
  if (first === undefined) throw new DataError('masks: at least one is needed to merge, found none.');
  if (others.length === 0) return first;
  const { height, width } = first;
  const all = new Uint8Array(height * width);
  for (const mask of masks) {
    if (mask.height !== height || mask.width !== width)
      throw new DataError(
        `masks: all must be ${width}×${height} as the first is, found ${mask.width}×${mask.height}.`,
      );
    decodeMask(mask).forEach((value, i) => {
      if (value) all[i] = 1;
    });
  }
  return encodeMask(all, height, width);
}

/**
 * Counts as COCO's result files hold them: six bits a character from '0' on, five of the number (least first, the
 * sign in the last) and one that says whether more follow; from the fourth on the difference to the count before last.
 * @throws DataError when the text ends within a number, or does not fill the mask
 */
export function parseRle(text: string, height: number, width: number): MaskRle {
  const counts: number[] = [];
  for (let at = 0; at < text.length; ) {
    let [value, shift, more] = [0, 0, true];
    while (more) {
      const code = text.charCodeAt(at++) - 48;
      if (!(code >= 0 && code < 64) || shift > 30)
        throw new DataError(`mask: "${text.slice(0, 20)}…" is no run-length text at character ${at - 1}.`);
      value |= (code & 31) << shift;
      more = (code & 32) !== 0;
      shift += 5;
      if (!more && (code & 16) !== 0 && shift < 32) value |= -1 << shift;
    }
    counts.push(value + (counts.length > 2 ? (counts.at(-2) ?? 0) : 0));
  }
  return rleOf(counts, height, width);
}

/** Checked counts. @throws DataError when one is negative, or they do not add up to the mask */
export function rleOf(counts: readonly number[], height: number, width: number): MaskRle {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total !== height * width || counts.some((count) => !Number.isInteger(count) || count < 0))
    throw new DataError(
      `mask: run lengths of a ${width}×${height} mask must be integers ≥ 0 with sum ${height * width}, found sum ${total}.`,
    );
  return { height, width, counts: Uint32Array.from(counts) };
}

/** The text that `parseRle` reads. */
export function formatRle({ counts }: MaskRle): string {
  let text = '';
  counts.forEach((count, i) => {
    let rest = count - (i > 2 ? (counts[i - 2] ?? 0) : 0);
    for (let more = true; more; ) {
      const bits = rest & 31;
      rest >>= 5;
      more = (bits & 16) !== 0 ? rest !== -1 : rest !== 0;
      text += String.fromCharCode(bits + (more ? 32 : 0) + 48);
    }
  });
  return text;
}
