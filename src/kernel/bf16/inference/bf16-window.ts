/**
 * How a dense convolution on bf16 memory reads its input: where windows lie contiguously they are one run of
 * numbers a kernel row, else one a tap. Padding, f32 inputs and runs of odd length are dealt with by a copy of the
 * input in scratch memory, so that the kernels themselves read pairs and know no borders.
 */
import { isUnitStride } from '../../../graph/geometry.ts';
import type { ConvSizes, ConvTask } from '../../convolution/convolution-row.ts';
import type { Tile, TileStep } from '../../plan/plan.ts';
import { spans } from '../../plan/split-work.ts';
import { type PixelStorage, pixelBytes, storageBytes } from '../../vector/storage.ts';
import { convertTile } from './convert.ts';

/** A contiguous stretch of one window. */
export interface Run {
  /** Bytes from the window's start. */
  readonly offset: number;
  /** First tap of the kernel it holds. */
  readonly tap: number;
}

export interface WindowRead {
  /** Bytes from a number's first term to its second, where there is one. */
  readonly termStride: number | undefined;
  /** Where the windows are read: the task's input, or its copy. */
  readonly buffer: 'input0' | 'scratch';
  /** The copy's size, 0 without one. */
  readonly copyBytes: number;
  /** What makes the copy. */
  readonly copy: readonly TileStep[];
  readonly runs: readonly Run[];
  /** Numbers in a run, rounded up to a pair, and those that are real. */
  readonly runPairs: number;
  readonly runNumbers: number;
  /** All positions are lines of equal length; bytes from one position and one line to the next. */
  readonly positions: number;
  readonly lines: number;
  readonly positionStride: number;
  readonly lineStride: number;
  /** Bytes from one picture's first window to the next one's, and lines in a picture. */
  readonly imageStride: number;
  readonly imageLines: number;
}

const BF16_BYTES = storageBytes('bf16');
const COPY_ROWS_A_TILE = 32;

/**
 * @param input f32, or in `terms` terms. A copy of f32 keeps the terms apart, as pictures one after the other; a
 * copy of terms keeps them together.
 */
export function windowRead(task: ConvTask, sizes: ConvSizes, input: PixelStorage, terms: 1 | 2): WindowRead {
  const { kernel, stride, dilation, padding } = task.geometry;
  const { images, height, width, inChannels, outHeight, outWidth } = sizes;
  const together = input === 'f32' ? 1 : terms;
  const contiguous = kernel[1] === 1 || (dilation[1] === 1 && together === 1);
  const runNumbers = inChannels * (contiguous ? kernel[1] : 1);
  const odd = runNumbers % 2;
  const copied = input === 'f32' || odd > 0 || padding.some((n) => n > 0);
  const [top = 0, left = 0, bottom = 0, right = 0] = copied ? padding : [];
  const margins = { top, left, bottom, right: right + (copied ? odd : 0) };
  const pixel = inChannels * together * BF16_BYTES;
  const rowBytes = (margins.left + width + margins.right) * pixel;
  const imageBytes = (top + height + bottom) * rowBytes;
  const copyBytes = copied ? images * imageBytes : 0;
  const apart = input === 'f32' && terms === 2;
  const runs: Run[] = [];
  for (let i = 0; i < kernel[0]; i++)
    for (let j = 0; j < (contiguous ? 1 : kernel[1]); j++)
      runs.push({ offset: i * dilation[0] * rowBytes + j * dilation[1] * pixel, tap: i * kernel[1] + j });
  const point = kernel[0] === 1 && kernel[1] === 1 && isUnitStride(task.geometry) && !copied;
  const copies = [
    { remainder: false, offset: 0 },
    ...(apart ? [{ remainder: true, offset: copyBytes }] : []),
  ];
  return {
    termStride: terms === 1 ? undefined : apart ? copyBytes : inChannels * BF16_BYTES,
    buffer: copied ? 'scratch' : 'input0',
    copyBytes: copyBytes * copies.length,
    copy: copied
      ? [
          copies.flatMap(({ remainder, offset }) =>
            copyTiles(sizes, input, together, margins, remainder, offset),
          ),
        ]
      : [],
    runs,
    runPairs: Math.ceil(runNumbers / 2),
    runNumbers,
    positions: point ? images * height * width : outWidth,
    lines: point ? 1 : images * outHeight,
    positionStride: stride[1] * pixel,
    lineStride: stride[0] * rowBytes,
    imageStride: imageBytes,
    imageLines: point ? 1 : outHeight,
  };
}

interface Margins {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

function copyTiles(
  { images, height, width, inChannels }: ConvSizes,
  input: PixelStorage,
  together: number,
  { top, left, bottom, right }: Margins,
  remainder: boolean,
  copyOffset: number,
): TileStep {
  const tiles: Tile[] = [];
  const from = input === 'f32' ? 'f32' : 'bf16';
  const numbers = inChannels * together;
  const before = left * numbers;
  const row = { from, remainder, before, copied: width * numbers, after: right * numbers } as const;
  const rowNumbers = before + row.copied + row.after;
  const zeros = { from, remainder: false, before: rowNumbers, copied: 0, after: 0 } as const;
  for (let image = 0; image < images; image++) {
    const output = copyOffset + image * (top + height + bottom) * rowNumbers * BF16_BYTES;
    const source = { buffer: 'input0', offset: 0 } as const;
    const at = (line: number) =>
      ({ buffer: 'scratch', offset: output + line * rowNumbers * BF16_BYTES }) as const;
    if (top > 0) tiles.push(convertTile(zeros, source, at(0), top));
    for (const { first, end } of spans(height, Math.ceil(height / COPY_ROWS_A_TILE))) {
      const offset = (image * height + first) * width * pixelBytes(input, inChannels);
      tiles.push(convertTile(row, { buffer: 'input0', offset }, at(top + first), end - first));
    }
    if (bottom > 0) tiles.push(convertTile(zeros, source, at(top + height), bottom));
  }
  return tiles;
}
