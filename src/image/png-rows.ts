import { ImageError } from '../errors.ts';
import { inflate } from './inflate.ts';
import { type PngColourType, type PngHeader, pngChunks, readPngHeader } from './png-chunks.ts';

export const channelCount: Readonly<Record<PngColourType, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/** The rows and columns of a sub-picture. */
export interface Pass {
  readonly x: number;
  readonly y: number;
  readonly dx: number;
  readonly dy: number;
}

/** Adam7: seven sub-pictures, each starting at (x, y) and taking every dx-th pixel of every dy-th row. */
const adam7: readonly Pass[] = [
  { x: 0, y: 0, dx: 8, dy: 8 },
  { x: 4, y: 0, dx: 8, dy: 8 },
  { x: 0, y: 4, dx: 4, dy: 8 },
  { x: 2, y: 0, dx: 4, dy: 4 },
  { x: 0, y: 2, dx: 2, dy: 4 },
  { x: 1, y: 0, dx: 2, dy: 2 },
  { x: 0, y: 1, dx: 1, dy: 2 },
];
const onePass: readonly Pass[] = [{ x: 0, y: 0, dx: 1, dy: 1 }];

/** A PNG's rows with their filters undone. */
export interface PngRows {
  readonly header: PngHeader;
  /** 256 colours of three bytes, when the picture has a palette. */
  readonly palette: Uint8Array | undefined;
  readonly passes: readonly Pass[];
  /** Pass by pass, row by row: a filter byte, then the samples. */
  readonly raw: Uint8Array;
}

/** @throws ImageError for a damaged or cut file */
export async function readPngRows(bytes: Uint8Array): Promise<PngRows> {
  const header = readPngHeader(bytes);
  const idat: Uint8Array[] = [];
  let palette: Uint8Array | undefined;
  for (const { type, data } of pngChunks(bytes, true)) {
    if (type === 'IDAT') idat.push(data);
    if (type === 'PLTE') palette = readPalette(data);
  }
  if (header.colourType === 3 && !palette) throw new ImageError('a palette picture without a PLTE chunk');
  const passes = (header.interlaced ? adam7 : onePass).filter(
    (p) => p.x < header.width && p.y < header.height,
  );
  let total = 0;
  for (const pass of passes) total += passRows(header, pass) * (passRowBytes(header, pass) + 1);
  const raw = await inflate(idat, total);
  let at = 0;
  for (const pass of passes) {
    const rows = passRows(header, pass);
    const rowBytes = passRowBytes(header, pass);
    unfilter(raw, at, rows, rowBytes, Math.max(1, (channelCount[header.colourType] * header.depth) >> 3));
    at += rows * (rowBytes + 1);
  }
  return { header, palette: header.colourType === 3 ? palette : undefined, passes, raw };
}

function readPalette(data: Uint8Array): Uint8Array {
  if (data.length === 0 || data.length % 3 !== 0 || data.length > 768) {
    throw new ImageError(`PLTE has ${data.length} bytes, expected 1 to 256 colours of 3`);
  }
  const palette = new Uint8Array(768); // indices past the end are black, as in libpng
  palette.set(data);
  return palette;
}

export const passColumns = (header: PngHeader, pass: Pass): number =>
  Math.ceil((header.width - pass.x) / pass.dx);
export const passRows = (header: PngHeader, pass: Pass): number =>
  Math.ceil((header.height - pass.y) / pass.dy);
export const passRowBytes = (header: PngHeader, pass: Pass): number =>
  Math.ceil((passColumns(header, pass) * channelCount[header.colourType] * header.depth) / 8);

/** Undoes the row filters in place: each row is a filter byte and `rowBytes` bytes. `unit` is the bytes a pixel. */
function unfilter(raw: Uint8Array, start: number, rows: number, rowBytes: number, unit: number): void {
  let above: Uint8Array = new Uint8Array(rowBytes);
  for (let y = 0; y < rows; y++) {
    const at = start + y * (rowBytes + 1);
    const filter = rowFilters[raw[at] ?? 0];
    if (!filter) throw new ImageError(`row ${y} has filter ${raw[at]}, but PNG has 0 to 4`);
    const row = raw.subarray(at + 1, at + 1 + rowBytes);
    filter(row, above, unit);
    above = row;
  }
}

type RowFilter = (row: Uint8Array, above: Uint8Array, unit: number) => void;

/** None, sub, up, average, Paeth; `row` is a Uint8Array, so sums wrap as the format asks. */
const rowFilters: readonly RowFilter[] = [
  () => {},
  (row, _above, unit) => {
    for (let i = unit; i < row.length; i++) row[i] = (row[i] ?? 0) + (row[i - unit] ?? 0);
  },
  (row, above) => {
    for (let i = 0; i < row.length; i++) row[i] = (row[i] ?? 0) + (above[i] ?? 0);
  },
  (row, above, unit) => {
    for (let i = 0; i < row.length; i++) {
      const left = i < unit ? 0 : (row[i - unit] ?? 0);
      row[i] = (row[i] ?? 0) + ((left + (above[i] ?? 0)) >> 1);
    }
  },
  (row, above, unit) => {
    for (let i = 0; i < unit && i < row.length; i++) row[i] = (row[i] ?? 0) + (above[i] ?? 0);
    for (let i = unit; i < row.length; i++) {
      const left = row[i - unit] ?? 0;
      const corner = above[i - unit] ?? 0;
      const up = above[i] ?? 0;
      const toLeft = Math.abs(up - corner);
      const toUp = Math.abs(left - corner);
      const toCorner = Math.abs(left + up - 2 * corner);
      const nearest = toLeft <= toUp && toLeft <= toCorner ? left : toUp <= toCorner ? up : corner;
      row[i] = (row[i] ?? 0) + nearest;
    }
  },
];

/** One row's samples as bytes; `spread` stretches those below 8 bits over 0–255 (palette indices are not). */
export function unpack(row: Uint8Array, depth: number, spread: boolean, scratch: Uint8Array): Uint8Array {
  if (depth === 8) return row;
  if (depth === 16) {
    for (let i = 0; i < scratch.length; i++) scratch[i] = row[2 * i] ?? 0;
    return scratch;
  }
  const mask = (1 << depth) - 1;
  const factor = spread ? 255 / mask : 1;
  for (let i = 0; i < scratch.length; i++) {
    const bit = i * depth;
    scratch[i] = (((row[bit >> 3] ?? 0) >> (8 - depth - (bit & 7))) & mask) * factor;
  }
  return scratch;
}
