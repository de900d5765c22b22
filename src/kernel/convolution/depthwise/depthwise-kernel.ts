/**
 * The code of a depthwise convolution, or of the gradient of its input: strips of output rows, cut into blocks of
 * columns; for each block, one vector of channels after the other, so that memory is read in stretches of whole
 * pixels. Several inputs, each with its weights, may be summed into one output.
 *
 *     weights   for each vector of channels: [lanes] bias, then [kH·kW][lanes]
 *
 * Positions may fall into classes that differ in all weights: then there is a bias for each class, and taps are
 * numbered class by class.
 */
import {
  type Address,
  at,
  type Int,
  type Vec,
  type VectorAssembler,
} from '../../../assembler/vector-assembler.ts';
import type { ActivationName } from '../../../graph/activations.ts';
import type { KernelSpec, Slot } from '../../plan/plan.ts';
import { type Reach, type ReachBlock, reachName } from '../../plan/reach.ts';
import { emitActivation } from '../../vector/activation.ts';
import { countBySlot } from '../../vector/emit.ts';
import {
  channelBytes,
  type PixelStorage,
  pixelBytes,
  storageName,
  storePixel,
} from '../../vector/storage.ts';

/** Everything the code depends on; sizes are in bytes unless said otherwise. */
export interface DepthwiseSpec {
  readonly kernel: readonly [height: number, width: number];
  /** Number of channels. */
  readonly channels: number;
  /** A strip: what its rows read, and how many rows further the next one reads. */
  readonly rows: Pick<ReachBlock, 'reaches' | 'advance'>;
  readonly columns: readonly ReachBlock[];
  /** From one row of the input to the next. */
  readonly inputRow: number;
  readonly outputRow: number;
  readonly tile: DepthwiseTile;
  readonly classes?: DepthwiseClasses | undefined;
  /** What is summed: one input with its weights each. */
  readonly terms: readonly DepthwiseTerm[];
  readonly residual: boolean;
  readonly activation: ActivationName | null;
  readonly output: PixelStorage;
  /** The output is written past the caches. */
  readonly past: boolean;
}

/** Which taps an input is read through: all, or the one at the window's centre, which `centre` numbers. */
export type DepthwiseTerm = 'window' | 'centre';

/** What is computed at once. */
export interface DepthwiseTile {
  /** Output rows and columns whose sums are in registers. */
  readonly rows: number;
  readonly columns: number;
  /** All taps stay in registers and each input is loaded once; else inputs are operands from memory. */
  readonly keepsTaps: boolean;
}

/** Positions of an axis with taps i·taps … (i + 1)·taps − 1 are of class i; those without any give 0. */
export interface DepthwiseClasses {
  readonly taps: readonly [height: number, width: number];
}

/** Rows of biases before those of taps. */
function biasRows({ kernel, classes }: Pick<DepthwiseSpec, 'kernel' | 'classes'>): number {
  return classes ? (kernel[0] / classes.taps[0]) * (kernel[1] / classes.taps[1]) : 1;
}

/** Rows of a vector's weights. */
export function depthwiseWeightRows(spec: Pick<DepthwiseSpec, 'kernel' | 'classes'>): number {
  return biasRows(spec) + spec.kernel[0] * spec.kernel[1];
}

/** The row of a position's bias, none where it is 0. */
function biasRow(
  { kernel, classes }: DepthwiseSpec,
  [vertical]: readonly Reach[],
  [horizontal]: readonly Reach[],
): number | undefined {
  if (classes === undefined) return 0;
  if (vertical === undefined || horizontal === undefined) return undefined;
  const row = Math.floor(vertical.tap / classes.taps[0]);
  return row * (kernel[1] / classes.taps[1]) + Math.floor(horizontal.tap / classes.taps[1]);
}

const SLOT = { input: 1, weights: 2, output: 3, residual: 4, strips: 5, more: 6 } as const;

export interface DepthwiseRecord {
  readonly input: Slot;
  readonly weights: Slot;
  readonly output: Slot;
  readonly residual: Slot;
  readonly strips: number;
  /** Terms but the first, laid out alike. */
  readonly more: readonly { readonly input: Slot; readonly weights: Slot }[];
}

export function depthwiseSlots(record: DepthwiseRecord): readonly Slot[] {
  const { input, weights, output, residual, strips, more } = record;
  return [input, weights, output, residual, strips, ...more.flatMap((term) => [term.input, term.weights])];
}

export function depthwiseKernel(spec: DepthwiseSpec): KernelSpec {
  const { kernel, channels, rows, inputRow, outputRow, tile, output } = spec;
  const columns = spec.columns.map(
    ({ reaches, repeat, start, advance }) => `${reachName(reaches)}*${repeat}@${start}+${advance}`,
  );
  const epilogue = `${spec.residual ? '_residual' : ''}${spec.activation ? `_${spec.activation}` : ''}`;
  const classes = spec.classes ? `_classes${spec.classes.taps.join('x')}` : '';
  const block = `${tile.keepsTaps ? 'kept' : 'operands'}${tile.rows}x${tile.columns}`;
  const past = spec.past ? '_past' : '';
  const terms = spec.terms.length > 1 ? `_${spec.terms.join(',')}` : '';
  const name = `${storageName(output)}_depthwise${terms}${epilogue}${classes}${past}_${block}_k${kernel.join('x')}c${channels}_s${inputRow},${outputRow}_r${reachName(rows.reaches)}+${rows.advance}_b${columns.join(',')}`;
  return { name, generate: (a) => emitStrips(a, spec) };
}

interface Pointers {
  readonly input: Int;
  readonly weights: Int;
  readonly output: Int;
  readonly residual: Int | undefined;
}

function emitStrips(a: VectorAssembler, spec: DepthwiseSpec): void {
  const pointers: Pointers = {
    input: a.slot(SLOT.input),
    weights: a.slot(SLOT.weights),
    output: a.slot(SLOT.output),
    residual: spec.residual ? a.slot(SLOT.residual) : undefined,
  };
  const { input, output, residual } = pointers;
  const inputPixel = spec.channels * 4;
  const outputPixel = pixelBytes(spec.output, spec.channels);
  countBySlot(a, SLOT.strips, () => {
    let read = 0;
    let written = 0;
    for (const { reaches, repeat, start, advance } of spec.columns) {
      a.addInt(input, start * inputPixel - read);
      a.loop(repeat, () => {
        emitChannels(a, spec, reaches, pointers);
        a.addInt(input, advance * inputPixel);
        a.addInt(output, reaches.length * outputPixel);
        if (residual !== undefined) a.addInt(residual, reaches.length * outputPixel);
      });
      read = (start + repeat * advance) * inputPixel;
      written += repeat * reaches.length * outputPixel;
    }
    a.addInt(input, spec.rows.advance * spec.inputRow - read);
    a.addInt(output, spec.rows.reaches.length * spec.outputRow - written);
    if (residual !== undefined) a.addInt(residual, spec.rows.reaches.length * spec.outputRow - written);
  });
  a.freeInt(input, pointers.weights, output);
  if (residual !== undefined) a.freeInt(residual);
}

/** A block for all channels; pointers are afterwards where they were. */
function emitChannels(a: VectorAssembler, spec: DepthwiseSpec, columns: Reaches, pointers: Pointers): void {
  const vecBytes = a.lanes * 4;
  const weightBytes = depthwiseWeightRows(spec) * vecBytes;
  const whole = Math.floor(spec.channels / a.lanes);
  const rest = spec.channels - whole * a.lanes;
  const moving = [{ pointer: pointers.input, bytes: vecBytes }];
  const outBytes = a.lanes * channelBytes(spec.output);
  for (const pointer of [pointers.output, pointers.residual])
    if (pointer !== undefined) moving.push({ pointer, bytes: outBytes });
  a.loop(whole, () => {
    emitBlock(a, spec, columns, pointers, a.lanes);
    for (const { pointer, bytes } of moving) a.addInt(pointer, bytes);
    a.addInt(pointers.weights, weightBytes);
  });
  if (rest > 0) emitBlock(a, spec, columns, pointers, rest);
  for (const { pointer, bytes } of moving) a.subtractInt(pointer, whole * bytes);
  a.subtractInt(pointers.weights, whole * weightBytes);
}

type Reaches = readonly (readonly Reach[])[];

/** Rows and columns of a block that are computed at once. */
interface Part {
  readonly firstRow: number;
  readonly firstColumn: number;
  readonly rows: Reaches;
  readonly columns: Reaches;
}

function emitBlock(
  a: VectorAssembler,
  spec: DepthwiseSpec,
  columns: Reaches,
  pointers: Pointers,
  count: number,
): void {
  const rows = spec.rows.reaches;
  for (let firstRow = 0; firstRow < rows.length; firstRow += spec.tile.rows)
    for (let firstColumn = 0; firstColumn < columns.length; firstColumn += spec.tile.columns) {
      const part: Part = {
        firstRow,
        firstColumn,
        rows: rows.slice(firstRow, firstRow + spec.tile.rows),
        columns: columns.slice(firstColumn, firstColumn + spec.tile.columns),
      };
      emitPart(a, spec, part, pointers, count);
    }
}

/** One product of a part: which sum, which tap, and where the input lies. */
interface Product {
  readonly row: number;
  readonly column: number;
  readonly tap: number;
  readonly offset: number;
}

function productsOf(spec: DepthwiseSpec, { rows, columns }: Part): Product[] {
  const pixel = spec.channels * 4;
  return rows.flatMap((vertical, row) =>
    columns.flatMap((horizontal, column) =>
      vertical.flatMap((i) =>
        horizontal.map((j) => ({
          row,
          column,
          tap: i.tap * spec.kernel[1] + j.tap,
          offset: i.source * spec.inputRow + j.source * pixel,
        })),
      ),
    ),
  );
}

/** Like things together, in order of their keys. */
function groupBy(products: readonly Product[], key: (product: Product) => number): Product[][] {
  const groups = new Map<number, Product[]>();
  products.forEach((product) => {
    const group = groups.get(key(product));
    if (group === undefined) groups.set(key(product), [product]);
    else group.push(product);
  });
  return [...groups.keys()].sort((a, b) => a - b).map((each) => groups.get(each) ?? []);
}

function emitPart(
  a: VectorAssembler,
  spec: DepthwiseSpec,
  part: Part,
  { input, weights, output, residual }: Pointers,
  count: number,
): void {
  const vecBytes = a.lanes * 4;
  const sums = emitBiases(a, spec, part, weights);
  const add = (product: Product, left: Vec, right: Vec | Address): void => {
    const sum = sums[product.row]?.[product.column];
    if (sum !== undefined) a.fma(sum, left, right);
  };
  const products = productsOf(spec, part);
  const pixel = pixelBytes(spec.output, spec.channels);
  for (const [index, term] of spec.terms.entries()) {
    const own = index === 0 ? { input, weights } : termPointers(a, index, input, weights);
    const tapAt = (tap: number): Address => at(own.weights, (biasRows(spec) + tap) * vecBytes);
    const some = term === 'window' ? products : products.filter(({ tap }) => tap === centreOf(spec.kernel));
    if (spec.tile.keepsTaps) addByInput(a, some, own.input, tapAt, count, add);
    else addByTap(a, some, own.input, tapAt, count, add);
    if (index > 0) a.freeInt(own.input, own.weights);
  }
  for (const [r, row] of sums.entries())
    for (const [c, sum] of row.entries()) {
      const offset = (part.firstRow + r) * spec.outputRow + (part.firstColumn + c) * pixel;
      if (residual !== undefined) {
        const x = a.newVec();
        a.load(x, at(residual, offset), count);
        a.binary('add', sum, sum, x);
        a.freeVec(x);
      }
      if (spec.activation !== null) emitActivation(a, spec.activation, sum);
      if (spec.past && count === a.lanes) a.storePast(at(output, offset), sum);
      else storePixel(a, spec.output, spec.channels, at(output, offset), sum, count);
    }
  a.freeVec(...sums.flat());
}

/** A register for each position, which holds its bias. */
function emitBiases(a: VectorAssembler, spec: DepthwiseSpec, part: Part, weights: Int): Vec[][] {
  const known = new Map<number, Vec>();
  return part.rows.map((vertical) =>
    part.columns.map((horizontal) => {
      const sum = a.newVec();
      const row = biasRow(spec, vertical, horizontal);
      const same = row === undefined ? undefined : known.get(row);
      if (row === undefined) a.zero(sum);
      else if (same === undefined) a.load(sum, at(weights, row * a.lanes * 4));
      else a.move(sum, same);
      if (row !== undefined) known.set(row, sum);
      return sum;
    }),
  );
}

/** The tap at the centre of a window, where it has one. */
export function centreOf([height, width]: readonly [height: number, width: number]): number {
  return ((height - 1) / 2) * width + (width - 1) / 2;
}

/** Pointers of another term, as far along as the first one's. */
function termPointers(
  a: VectorAssembler,
  index: number,
  input: Int,
  weights: Int,
): { readonly input: Int; readonly weights: Int } {
  const along = (slot: number, pointer: Int, first: number): Int => {
    const result = a.slot(slot);
    const start = a.slot(first);
    a.addInt(result, pointer);
    a.subtractInt(result, start);
    a.freeInt(start);
    return result;
  };
  const slot = SLOT.more + 2 * (index - 1);
  return { input: along(slot, input, SLOT.input), weights: along(slot + 1, weights, SLOT.weights) };
}

type Add = (product: Product, left: Vec, right: Vec | Address) => void;

function addByInput(
  a: VectorAssembler,
  products: readonly Product[],
  input: Int,
  tapAt: (tap: number) => Address,
  count: number,
  add: Add,
): void {
  const taps = new Map<number, Vec>();
  for (const { tap } of products) {
    if (taps.has(tap)) continue;
    const vec = a.newVec();
    a.load(vec, tapAt(tap));
    taps.set(tap, vec);
  }
  for (const group of groupBy(products, (product) => product.offset)) {
    const x = a.newVec();
    a.load(x, at(input, group[0]?.offset ?? 0), count);
    group.forEach((product) => {
      add(product, x, taps.get(product.tap) ?? x);
    });
    a.freeVec(x);
  }
  a.freeVec(...taps.values());
}

function addByTap(
  a: VectorAssembler,
  products: readonly Product[],
  input: Int,
  tapAt: (tap: number) => Address,
  count: number,
  add: Add,
): void {
  const weight = a.newVec();
  for (const group of groupBy(products, (product) => product.tap)) {
    a.load(weight, tapAt(group[0]?.tap ?? 0));
    for (const product of group) {
      if (count === a.lanes) {
        add(product, weight, at(input, product.offset));
        continue;
      }
      const x = a.newVec();
      a.load(x, at(input, product.offset), count);
      add(product, weight, x);
      a.freeVec(x);
    }
  }
  a.freeVec(weight);
}
