/**
 * The sums that a depthwise kernel has in registers at once: products of one vector of channels, of a few rows and
 * columns, over all taps and terms.
 */
import {
  type Address,
  at,
  type Int,
  type Vec,
  type VectorAssembler,
} from '../../../assembler/vector-assembler.ts';
import type { Reach } from '../../plan/reach.ts';
import { emitActivations } from '../../vector/activation.ts';
import { emitEpilogue } from '../../vector/epilogue.ts';
import { pixelBytes, storePixel } from '../../vector/storage.ts';
import { biasRows, centreOf, type DepthwiseSpec, SLOT } from './depthwise-spec.ts';

export interface Pointers {
  readonly input: Int;
  readonly weights: Int;
  readonly output: Int;
  readonly residual: Int | undefined;
}

export type Reaches = readonly (readonly Reach[])[];

/** Rows and columns of a block that are computed at once. */
export interface Part {
  readonly firstRow: number;
  readonly firstColumn: number;
  readonly rows: Reaches;
  readonly columns: Reaches;
}

export function emitPart(
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
  const results = sums.flatMap((row, r) =>
    row.map((sum, c) => ({
      sum,
      offset: (part.firstRow + r) * spec.outputRow + (part.firstColumn + c) * pixel,
    })),
  );
  for (const { sum, offset } of results)
    emitEpilogue(a, sum, { activation: null, residual: residual && at(residual, offset) }, count);
  if (spec.activation !== null) emitActivations(a, spec.activation, sums.flat());
  for (const { sum, offset } of results)
    if (spec.past && count === a.lanes) a.storePast(at(output, offset), sum);
    else storePixel(a, spec.output, spec.channels, at(output, offset), sum, count);
  a.freeVec(...sums.flat());
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
