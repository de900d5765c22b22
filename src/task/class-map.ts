import { UsageError } from '../errors.ts';
import { bilinearSamples } from '../graph/bilinear.ts';
import type { PictureSize } from '../image/picture-size.ts';
import type { Tensor } from '../tensor/tensor.ts';

/**
 * Logits of few places → the class of each pixel of a picture, as if they had been resized bilinearly (PyTorch's
 * `interpolate`) to the net's input and from there to the picture, without ever holding either: both resizes are linear,
 * so a pixel is a mixture of at most three by three places. Pixels between the same places form a cell. Most cells are
 * decided as a whole: where their places agree on the largest logit, every mixture has the same one. In the others only
 * the classes count that some mixture could have as its largest.
 */

export interface ClassMapOptions {
  readonly alignCorners: boolean;
  /** Size that the logits stand for, the net's input; default their own. */
  readonly via?: PictureSize;
  /** Which picture of the batch, default the first. */
  readonly n?: number;
}

/** One picture's logits. */
export interface LogitPlaces {
  readonly data: Tensor['data'];
  readonly rows: number;
  readonly columns: number;
  readonly classes: number;
}

/** @param logits [N, h, w, classes] */
export function placesOf({ shape, data }: Tensor, n: number): LogitPlaces {
  const [, rows = 0, columns = 0, classes = 0] = shape;
  const size = rows * columns * classes;
  return { data: data.subarray(n * size, (n + 1) * size), rows, columns, classes };
}

const taps = 3;

/** What the rows or columns of a picture are mixed of. */
export interface Mixture {
  /** First of the three places of each. */
  readonly first: Int32Array;
  /** Three for each. */
  readonly weights: Float32Array;
  /** Where each cell begins, and where the last one ends. */
  readonly cells: readonly number[];
}

/** @throws UsageError where `via` is smaller than `from`: mixtures would have more places */
export function mixtureOf(from: number, via: number, to: number, alignCorners: boolean): Mixture {
  if (via < from) throw new UsageError(`class map: ${from} logits in a row cannot stand for ${via} pixels.`);
  const inner = bilinearSamples(from, via, alignCorners);
  const [first, weights] = [new Int32Array(to), new Float32Array(taps * to)];
  const cells: number[] = [];
  let last = '';
  bilinearSamples(via, to, alignCorners).forEach(({ low, high, fraction }, i) => {
    const start = Math.max(0, Math.min(inner[low]?.low ?? 0, from - taps));
    first[i] = start;
    for (const [at, share] of [
      [low, 1 - fraction],
      [high, fraction],
    ] as const) {
      const one = inner[at];
      if (!one || share === 0) continue;
      for (const [place, part] of [
        [one.low, share * (1 - one.fraction)],
        [one.high, share * one.fraction],
      ] as const)
        if (part > 0) weights[taps * i + place - start] = (weights[taps * i + place - start] ?? 0) + part;
    }
    const used = [0, 1, 2].map((tap) => ((weights[taps * i + tap] ?? 0) > 0 ? tap : '')).join();
    if (`${start}:${used}` !== last) cells.push(i);
    last = `${start}:${used}`;
  });
  return { first, weights, cells: [...cells, to] };
}

/** The largest logit's index for each pixel, the first of equal ones. */
export function classesOfPixels(
  logits: LogitPlaces,
  { width, height }: PictureSize,
  { alignCorners, via }: Pick<ClassMapOptions, 'alignCorners' | 'via'>,
): Uint8Array {
  const { rows, columns, classes } = logits;
  const down = mixtureOf(rows, via?.height ?? rows, height, alignCorners);
  const across = mixtureOf(columns, via?.width ?? columns, width, alignCorners);
  const map = new Uint8Array(width * height);
  const decider = cellDecider(logits);
  const row = new Float32Array(columns * classes);
  const columnsOf = across.cells.slice(0, -1).map((x) => placesAt(across, x));
  for (let i = 1; i < down.cells.length; i++) {
    const [top, bottom] = [down.cells[i - 1] ?? 0, down.cells[i] ?? 0];
    const rowsOf = placesAt(down, top);
    const open: OpenCell[] = [];
    columnsOf.forEach((places, j) => {
      const [from, to] = [across.cells[j] ?? 0, across.cells[j + 1] ?? 0];
      const label = decider.agreed(rowsOf, places);
      if (label < 0) open.push({ from, to, candidates: decider.candidates(rowsOf, places) });
      else for (let y = top; y < bottom; y++) map.fill(label, y * width + from, y * width + to);
    });
    if (open.length === 0) continue;
    for (let y = top; y < bottom; y++) {
      mixRows(row, logits, down, y);
      for (const { from, to, candidates } of open)
        for (let x = from; x < to; x++) map[y * width + x] = largestAt(row, across, x, classes, candidates);
    }
  }
  return map;
}

/** Columns of a cell that is not decided as a whole, and the classes that may be the largest there. */
interface OpenCell {
  readonly from: number;
  readonly to: number;
  readonly candidates: Uint8Array;
}

/** The places of a mixture that count. */
function placesAt({ first, weights }: Mixture, i: number): readonly number[] {
  const start = first[i] ?? 0;
  return [0, 1, 2].filter((tap) => (weights[taps * i + tap] ?? 0) > 0).map((tap) => start + tap);
}

/** What is known of mixtures of some rows and columns of places before any is computed. */
function cellDecider({ data, columns, classes }: LogitPlaces) {
  const largest = largestOf(data, classes);
  const least = new Float32Array(classes);
  const most = new Float32Array(classes);
  return {
    /** The class that is the largest in all of the places, −1 where there is none. */
    agreed: (rows: readonly number[], across: readonly number[]): number => {
      const label = largest[(rows[0] ?? 0) * columns + (across[0] ?? 0)] ?? 0;
      for (const row of rows)
        for (const column of across) if (largest[row * columns + column] !== label) return -1;
      return label;
    },
    /**
     * In rising order, the classes that some mixture may have as its largest: a mixture lies between its places' least
     * and most, so what is nowhere above another's least never wins.
     */
    candidates: (rows: readonly number[], across: readonly number[]): Uint8Array => {
      least.fill(Number.POSITIVE_INFINITY);
      most.fill(Number.NEGATIVE_INFINITY);
      for (const row of rows)
        for (const column of across) {
          const from = (row * columns + column) * classes;
          for (let c = 0; c < classes; c++) {
            const value = data[from + c] ?? 0;
            if (value < (least[c] ?? 0)) least[c] = value;
            if (value > (most[c] ?? 0)) most[c] = value;
          }
        }
      let bar = Number.NEGATIVE_INFINITY;
      for (const value of least) if (value > bar) bar = value;
      const winners: number[] = [];
      for (let c = 0; c < classes; c++) if ((most[c] ?? 0) >= bar) winners.push(c);
      return Uint8Array.from(winners);
    },
  };
}

/** Index of the largest logit of each place, the first of equal ones. */
function largestOf(data: Tensor['data'], classes: number): Uint8Array {
  const largest = new Uint8Array(data.length / classes);
  for (let place = 0, at = 0; place < largest.length; place++) {
    let best = 0;
    let most = Number.NEGATIVE_INFINITY;
    for (let c = 0; c < classes; c++, at++) {
      const value = data[at] ?? 0;
      if (value > most) {
        most = value;
        best = c;
      }
    }
    largest[place] = best;
  }
  return largest;
}

/** Row `y` of the picture, of each column of places. */
export function mixRows(
  row: Float32Array,
  { data, rows }: LogitPlaces,
  { first, weights }: Mixture,
  y: number,
): void {
  const start = first[y] ?? 0;
  const [a = 0, b = 0, c = 0] = weights.subarray(taps * y, taps * y + taps);
  const length = row.length;
  // Fewer rows than three: what is past the end has no weight.
  const [top, middle, bottom] = [start, Math.min(start + 1, rows - 1), Math.min(start + 2, rows - 1)];
  const [i, j, k] = [top * length, middle * length, bottom * length];
  for (let at = 0; at < length; at++)
    row[at] = a * (data[i + at] ?? 0) + b * (data[j + at] ?? 0) + c * (data[k + at] ?? 0);
}

/** One class's logit at a pixel. */
export function mixedAt(
  row: Float32Array,
  { first, weights }: Mixture,
  x: number,
  classes: number,
  c: number,
): number {
  const from = (first[x] ?? 0) * classes + c;
  return (
    (weights[taps * x] ?? 0) * (row[from] ?? 0) +
    (weights[taps * x + 1] ?? 0) * (row[from + classes] ?? 0) +
    (weights[taps * x + 2] ?? 0) * (row[from + 2 * classes] ?? 0)
  );
}

function largestAt(
  row: Float32Array,
  { first, weights }: Mixture,
  x: number,
  classes: number,
  candidates: Uint8Array,
): number {
  const from = (first[x] ?? 0) * classes;
  const p = weights[taps * x] ?? 0;
  const q = weights[taps * x + 1] ?? 0;
  const r = weights[taps * x + 2] ?? 0;
  let best = 0;
  let most = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < candidates.length; i++) {
    const c = candidates[i] ?? 0;
    const at = from + c;
    const value = p * (row[at] ?? 0) + q * (row[at + classes] ?? 0) + r * (row[at + 2 * classes] ?? 0);
    if (value > most) {
      most = value;
      best = c;
    }
  }
  return best;
}
