import { ImageError } from '../errors.ts';
import { checkSize, type Image } from './image.ts';

interface ResampleFilter {
  /** Half width, in input pixels when enlarging. */
  readonly support: number;
  readonly weight: (x: number) => number;
}

const cubicA = -0.5;
const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));

/** Pillow's filters of the same names (libImaging/Resample.c). */
const filters = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: {
    support: 2,
    weight: (signed) => {
      const x = Math.abs(signed);
      if (x < 1) return ((cubicA + 2) * x - (cubicA + 3)) * x * x + 1;
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * cubicA : 0;
    },
  },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
} as const satisfies Readonly<Record<string, ResampleFilter>>;

export type Interpolation = keyof typeof filters;
export const interpolations = ['box', 'bilinear', 'bicubic', 'lanczos'] as const satisfies Interpolation[];

/** A rectangle in pixels. */
export interface Region {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Weights are fixed point with this many fraction bits: 32 less 8 for the pixel and 2 for overshoot. */
const precision = 32 - 8 - 2;

/** For each output position: the first input it reads, how many, and their weights (`width` apart). */
interface Taps {
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly weights: Int32Array;
  readonly width: number;
}

/**
 * The picture at another size, bit for bit what Pillow's `Image.resize(size, resample)` gives for RGB: filters widen
 * when shrinking (antialias), horizontal pass first, 8 bits between the passes, 22-bit fixed-point weights.
 * @param region the part of the result to compute; all of it when left out
 * @throws ImageError for a size that is not positive whole numbers or too large, or a region outside it
 * @see Pillow src/libImaging/Resample.c
 */
export function resizeImage(
  image: Image,
  width: number,
  height: number,
  interpolation: Interpolation,
  region: Region = { x: 0, y: 0, width, height },
): Image {
  checkSize(width, height, 'resizeImage');
  checkRegion(region, width, height);
  checkBytes(region.width, region.height);
  const filter: ResampleFilter = filters[interpolation];
  const across = taps(image.width, width, region.x, region.width, filter);
  const down = taps(image.height, height, region.y, region.height, filter);
  const last = region.height - 1;
  const top = down.first[0] ?? 0;
  const rows = (down.first[last] ?? 0) + (down.count[last] ?? 0) - top;
  const narrow = resampleRows(image, across, top, rows);
  return resampleColumns(narrow, down, top);
}

function checkRegion(region: Region, width: number, height: number): void {
  const { x, y } = region;
  const whole = [x, y, region.width, region.height].every(Number.isSafeInteger);
  const inside = x >= 0 && y >= 0 && x + region.width <= width && y + region.height <= height;
  if (!whole || !inside || region.width < 1 || region.height < 1) {
    throw new ImageError(
      `resizeImage: region ${region.width}×${region.height} at (${x}, ${y}) does not lie in ${width}×${height}.`,
      { region, width, height },
    );
  }
}

/** `precompute_coeffs` and `normalize_coeffs_8bpc` for output positions from … from + length − 1. */
function taps(inSize: number, outSize: number, from: number, length: number, filter: ResampleFilter): Taps {
  const first = new Int32Array(length);
  const count = new Int32Array(length);
  if (inSize === outSize) {
    // Pillow leaves out a pass that keeps the size; a single weight of one does the same.
    for (let i = 0; i < length; i++) first[i] = from + i;
    return {
      first,
      count: count.fill(1),
      weights: new Int32Array(length).fill(1 << precision),
      width: 1,
    };
  }
  const scale = inSize / outSize;
  const filterScale = Math.max(scale, 1);
  const support = filter.support * filterScale;
  const width = Math.ceil(support) * 2 + 1;
  const weights = new Int32Array(length * width);
  const exact = new Float64Array(width);
  const step = 1 / filterScale;
  for (let i = 0; i < length; i++) {
    const centre = (from + i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(inSize, Math.trunc(centre + support + 0.5));
    let sum = 0;
    for (let t = 0; t < end - start; t++) {
      const weight = filter.weight((t + start - centre + 0.5) * step);
      exact[t] = weight;
      sum += weight;
    }
    for (let t = 0; t < end - start; t++) {
      const scaled = (sum === 0 ? (exact[t] ?? 0) : (exact[t] ?? 0) / sum) * (1 << precision);
      weights[i * width + t] = Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    }
    first[i] = start;
    count[i] = end - start;
  }
  return { first, count, weights, width };
}

/** Bytes of a picture or of the rows between the two passes; a thin picture of many rows can ask for far more. */
const maxBytes = 2 ** 30;

function checkBytes(width: number, height: number): void {
  const bytes = width * height * 3;
  if (bytes > maxBytes) {
    throw new ImageError(
      `resizeImage: ${width}×${height} pixels need ${bytes} bytes, more than ${maxBytes}; crop or shrink the picture first.`,
      { width, height, bytes },
    );
  }
}

const half = 1 << (precision - 1);
const clamp = (fixed: number): number => {
  const value = fixed >> precision;
  return value < 0 ? 0 : value > 255 ? 255 : value;
};

/** Horizontal pass over input rows top … top + rows − 1. Sums stay below 2³¹, and `| 0` lets engines know it. */
function resampleRows(image: Image, across: Taps, top: number, rows: number): Image {
  const { data } = image;
  const { first, count, weights } = across;
  const width = first.length;
  checkBytes(width, rows);
  const out = new Uint8Array(width * rows * 3);
  let o = 0;
  for (let y = 0; y < rows; y++) {
    const row = (top + y) * image.width * 3;
    for (let x = 0; x < width; x++) {
      let red = half;
      let green = half;
      let blue = half;
      let i = row + (first[x] ?? 0) * 3;
      const w = x * across.width;
      const n = count[x] ?? 0;
      for (let t = 0; t < n; t++, i += 3) {
        const weight = weights[w + t] ?? 0;
        red = (red + Math.imul(data[i] ?? 0, weight)) | 0;
        green = (green + Math.imul(data[i + 1] ?? 0, weight)) | 0;
        blue = (blue + Math.imul(data[i + 2] ?? 0, weight)) | 0;
      }
      out[o++] = clamp(red);
      out[o++] = clamp(green);
      out[o++] = clamp(blue);
    }
  }
  return { width, height: rows, data: out };
}

/** Vertical pass; row 0 of `image` is input row `top`. Whole rows are summed at a time, in memory order. */
function resampleColumns(image: Image, down: Taps, top: number): Image {
  const { width } = image;
  const height = down.first.length;
  const rowLength = width * 3;
  const out = new Uint8Array(rowLength * height);
  const sums = new Int32Array(rowLength);
  for (let y = 0; y < height; y++) {
    const start = ((down.first[y] ?? 0) - top) * rowLength;
    const weights = down.weights.subarray(y * down.width, y * down.width + (down.count[y] ?? 0));
    const o = y * rowLength;
    if (weights.length === 2) blendTwoRows(image.data, start, weights, out, o, rowLength);
    else sumRows(image.data, start, weights, sums, out, o);
  }
  return { width, height, data: out };
}

/** What enlarging with the bilinear filter does: one pass over the rows instead of four. */
function blendTwoRows(
  data: Image['data'],
  start: number,
  weights: Int32Array,
  out: Uint8Array,
  o: number,
  length: number,
): void {
  const [upper = 0, lower = 0] = weights;
  for (let x = 0; x < length; x++) {
    const sum =
      half + Math.imul(data[start + x] ?? 0, upper) + Math.imul(data[start + length + x] ?? 0, lower);
    out[o + x] = clamp(sum | 0);
  }
}

function sumRows(
  data: Image['data'],
  start: number,
  weights: Int32Array,
  sums: Int32Array,
  out: Uint8Array,
  o: number,
): void {
  const { length } = sums;
  sums.fill(half);
  for (const [t, weight] of weights.entries()) {
    const row = start + t * length;
    for (let x = 0; x < length; x++) sums[x] = (sums[x] ?? 0) + Math.imul(data[row + x] ?? 0, weight);
  }
  for (let x = 0; x < length; x++) out[o + x] = clamp(sums[x] ?? 0);
}
