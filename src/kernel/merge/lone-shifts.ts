/**
 * Depthwise moments at stride 1 by distances instead of pairs of taps. The product of taps t and u at a window is that of
 * a number and the one u − t further on, and the same product serves every pair of taps so far apart: 13 distances
 * stand for the 45 pairs of a 3×3 kernel. Windows at taps differ in the first and last rows and columns of what they
 * read, so rows and columns of the slab are cut into bands, and sums of each pair of bands are kept apart:
 *
 *     bands of an axis   K − 1 of one dilation each, then what all taps read, then K − 1 more; tap t reads t … t + K − 1
 *     band sums          [band of rows][band of columns][Σ d, Σ d·d at each distance], vectors of channels
 */
import { at, type Int, type Vec, type VectorAssembler } from '../../assembler/vector-assembler.ts';
import type { PatchLayout } from './patch-layout.ts';
import { productRow } from './tap-pairs.ts';

/** From one number to another, in taps: below, or in the same row and not before. */
interface Distance {
  readonly down: number;
  readonly right: number;
}

export interface Shifts {
  readonly kernel: readonly [number, number];
  readonly dilation: readonly [number, number];
  /** Bands of rows, and of columns. */
  readonly bands: readonly [number, number];
  readonly distances: readonly Distance[];
}

/** Windows of fewer positions are mostly edge: pairs of taps are as quick. */
const LEAST_POSITIONS = 49;

/** @param rows the fewest output rows that are taken at once */
export function shiftsOf({ geometry, outWidth }: PatchLayout, rows: number): Shifts | undefined {
  const { kernel, stride, dilation } = geometry;
  const [height, width] = kernel;
  const edges = [(height - 1) * dilation[0], (width - 1) * dilation[1]] as const;
  const fits = rows >= edges[0] && outWidth >= edges[1] && rows * outWidth >= LEAST_POSITIONS;
  if (stride.join() !== '1,1' || height * width === 1 || !fits) return undefined;
  const distances: Distance[] = [];
  for (let down = 0; down < height; down++)
    for (let right = down === 0 ? 0 : 1 - width; right < width; right++) distances.push({ down, right });
  return { kernel, dilation, bands: [2 * height - 1, 2 * width - 1], distances };
}

/** Vectors of a block of band sums. */
export function bandRows({ bands, distances }: Shifts): number {
  return bands[0] * bands[1] * (1 + distances.length);
}

const bandRow = ({ bands, distances }: Shifts, row: number, column: number, sum: number): number =>
  (row * bands[1] + column) * (1 + distances.length) + sum;

/** The taps that read a band. */
function tapsOf(kernel: number, band: number): readonly number[] {
  return Array.from({ length: kernel }, (_, tap) => tap).filter((tap) => band >= tap && band < tap + kernel);
}

/** Whether some pair of taps so far apart has the first one's number in the band. */
const reaches = (kernel: number, band: number, distance: number): boolean =>
  tapsOf(kernel, band).some((tap) => tap + distance >= 0 && tap + distance < kernel);

/** A slab and where its sums go. */
export interface ShiftWalk {
  readonly slab: Int;
  /** Bytes from a row of the slab to the next. */
  readonly rowBytes: number;
  /** Output rows and columns. */
  readonly rows: Int;
  readonly columns: number;
  /** A block of band sums. */
  readonly to: Int;
  /** Registers for sums. */
  readonly registers: number;
}

/** Adds the sums of one slab to those in memory. All pointers end where they began. */
export function emitBandSums(a: VectorAssembler, shifts: Shifts, walk: ShiftWalk): void {
  const { kernel, dilation, bands } = shifts;
  const [row, core] = [a.newInt(), a.newInt()];
  a.moveInt(row, walk.slab);
  a.moveInt(core, walk.rows);
  a.addInt(core, (1 - kernel[0]) * dilation[0]);
  for (let band = 0; band < bands[0]; band++) {
    const rows = band === kernel[0] - 1 ? core : dilation[0];
    emitBandOfRows(a, shifts, walk, { band, row, rows });
  }
  a.freeInt(row, core);
}

interface RowBand {
  readonly band: number;
  /** Of the slab, from its first column on. */
  readonly row: Int;
  readonly rows: Int | number;
}

/** `row` moves on to the next band. */
function emitBandOfRows(a: VectorAssembler, shifts: Shifts, walk: ShiftWalk, rowBand: RowBand): void {
  const { kernel, dilation, bands, distances } = shifts;
  const pixel = a.lanes * 4;
  const from = a.newInt();
  let column = 0;
  for (let band = 0; band < bands[1]; band++) {
    const columns = band === kernel[1] - 1 ? walk.columns - (kernel[1] - 1) * dilation[1] : dilation[1];
    const wanted = distances.flatMap(({ down, right }, i) =>
      reaches(kernel[0], rowBand.band, down) && reaches(kernel[1], band, right) ? [i + 1] : [],
    );
    const sums = [0, ...wanted];
    for (let first = 0; first < sums.length; first += walk.registers) {
      const own = sums.slice(first, first + walk.registers);
      a.moveInt(from, rowBand.row);
      a.addInt(from, column * pixel);
      emitRectangle(a, shifts, walk, {
        ...{ from, rows: rowBand.rows, columns },
        sums: own.map((sum) => ({ sum, row: bandRow(shifts, rowBand.band, band, sum), vec: a.newVec() })),
      });
    }
    a.addInt(from, -column * pixel);
    column += columns;
  }
  a.moveInt(rowBand.row, from);
  a.freeInt(from);
}

interface Rectangle {
  /** Its first number; ends as many rows further on. */
  readonly from: Int;
  readonly rows: Int | number;
  readonly columns: number;
  /** 0 for Σ d, else a distance's number and one; the row of the block; what sums it up. */
  readonly sums: readonly { readonly sum: number; readonly row: number; readonly vec: Vec }[];
}

function emitRectangle(
  a: VectorAssembler,
  { dilation, distances }: Shifts,
  { rowBytes, to }: ShiftWalk,
  { from, rows, columns, sums }: Rectangle,
): void {
  const pixel = a.lanes * 4;
  const value = a.newVec();
  for (const { vec } of sums) a.zero(vec);
  a.loop(rows, () => {
    a.loop(columns, () => {
      a.load(value, at(from));
      for (const { sum, vec } of sums) {
        const distance = distances[sum - 1];
        if (distance === undefined) a.binary('add', vec, vec, value);
        else {
          const { down, right } = distance;
          a.fma(vec, value, at(from, down * dilation[0] * rowBytes + right * dilation[1] * pixel));
        }
      }
      a.addInt(from, pixel);
    });
    a.addInt(from, rowBytes - columns * pixel);
  });
  for (const { vec, row } of sums) {
    a.binary('add', vec, vec, at(to, row * pixel));
    a.store(at(to, row * pixel), vec);
    a.freeVec(vec);
  }
  a.freeVec(value);
}

/** Sums of taps and of pairs of taps, as pairs of taps would have had them, from a block of band sums. */
export function emitTapSums(a: VectorAssembler, shifts: Shifts, bands: Int, to: Int): void {
  const { kernel, distances } = shifts;
  const [height, width] = kernel;
  const taps = height * width;
  const vecBytes = a.lanes * 4;
  const vec = a.newVec();
  const total = (tap: number, sum: number, row: number): void => {
    const [top, left] = [Math.floor(tap / width), tap % width];
    for (let i = 0; i < taps; i++) {
      const place = at(
        bands,
        bandRow(shifts, top + Math.floor(i / width), left + (i % width), sum) * vecBytes,
      );
      if (i === 0) a.load(vec, place);
      else a.binary('add', vec, vec, place);
    }
    a.store(at(to, row * vecBytes), vec);
  };
  for (let tap = 0; tap < taps; tap++) {
    total(tap, 0, tap);
    for (let other = tap; other < taps; other++) {
      const down = Math.floor(other / width) - Math.floor(tap / width);
      const right = (other % width) - (tap % width);
      const distance = distances.findIndex((each) => each.down === down && each.right === right);
      total(tap, distance + 1, productRow(taps, tap, other));
    }
  }
  a.freeVec(vec);
}
