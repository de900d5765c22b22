/**
 * The code of a depthwise convolution: strips of output rows, cut into blocks of columns; for each block, one
 * vector of channels after the other, so that memory is read in stretches of whole pixels.
 *
 *     weights   for each vector of channels: [lanes] bias, then [kH·kW][lanes]
 */
import { type Address, at, type Int, type Vec, type VectorAssembler } from '../assembler/vector-assembler.ts';
import type { ActivationName } from '../graph/activations.ts';
import { emitActivation } from './activation.ts';
import { countBySlot } from './emit.ts';
import type { KernelSpec, Slot } from './plan.ts';
import { blockName, type TapRange } from './window-blocks.ts';

/** A block of columns, `repeat` times in a row; `start` and `before` are as in panel-kernel.ts. */
export interface DepthwiseBlock {
  readonly taps: readonly TapRange[];
  readonly repeat: number;
  readonly start: number;
  readonly before: number;
}

/** Everything the code depends on; sizes are in bytes unless said otherwise. */
export interface DepthwiseSpec {
  readonly kernel: readonly [height: number, width: number];
  /** Number of channels. */
  readonly channels: number;
  /** Taps inside the input for each row of a strip. */
  readonly rows: readonly TapRange[];
  /** Where the first row's first tap lies before the record's input: within the padding. */
  readonly before: number;
  readonly blocks: readonly DepthwiseBlock[];
  /** From one tap, kernel row, output column and output row to the next, in the input. */
  readonly tapStride: number;
  readonly kernelRowStride: number;
  readonly columnStride: number;
  readonly rowStride: number;
  readonly outputRowStride: number;
  /** All taps stay in registers and each input is loaded once; else inputs are operands from memory. */
  readonly keepsTaps: boolean;
  readonly residual: boolean;
  readonly activation: ActivationName | null;
}

const SLOT = { input: 1, weights: 2, output: 3, residual: 4, strips: 5 } as const;

export interface DepthwiseRecord {
  readonly input: Slot;
  readonly weights: Slot;
  readonly output: Slot;
  readonly residual: Slot;
  readonly strips: number;
}

export function depthwiseSlots({
  input,
  weights,
  output,
  residual,
  strips,
}: DepthwiseRecord): readonly Slot[] {
  return [input, weights, output, residual, strips];
}

export function depthwiseKernel(spec: DepthwiseSpec): KernelSpec {
  const blocks = spec.blocks.map(
    (block) => `${blockName(spec.kernel[1], block)}*${block.repeat}@${block.start}-${block.before}`,
  );
  const rows = blockName(spec.kernel[0], { taps: spec.rows });
  const strides = [
    spec.tapStride,
    spec.kernelRowStride,
    spec.columnStride,
    spec.rowStride,
    spec.outputRowStride,
    spec.before,
  ];
  const epilogue = `${spec.residual ? '_residual' : ''}${spec.activation ? `_${spec.activation}` : ''}`;
  const name = `f32_depthwise${epilogue}_${spec.keepsTaps ? 'kept' : 'operands'}_k${spec.kernel.join('x')}c${spec.channels}_r${rows}_s${strides.join(',')}_b${blocks.join(',')}`;
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
  const pixel = spec.channels * 4;
  countBySlot(a, SLOT.strips, () => {
    let read = 0;
    let written = 0;
    for (const block of spec.blocks) {
      const columns = block.taps.length;
      a.addInt(input, block.start - read);
      a.loop(block.repeat, () => {
        emitChannels(a, spec, block, pointers);
        a.addInt(input, columns * spec.columnStride);
        a.addInt(output, columns * pixel);
        if (residual !== undefined) a.addInt(residual, columns * pixel);
      });
      read = block.start + block.repeat * columns * spec.columnStride;
      written += block.repeat * columns * pixel;
    }
    a.addInt(input, spec.rows.length * spec.rowStride - read);
    a.addInt(output, spec.rows.length * spec.outputRowStride - written);
    if (residual !== undefined) a.addInt(residual, spec.rows.length * spec.outputRowStride - written);
  });
  a.freeInt(input, pointers.weights, output);
  if (residual !== undefined) a.freeInt(residual);
}

/** A block for all channels; pointers are afterwards where they were. */
function emitChannels(
  a: VectorAssembler,
  spec: DepthwiseSpec,
  block: DepthwiseBlock,
  pointers: Pointers,
): void {
  const vecBytes = a.lanes * 4;
  const weightBytes = (1 + spec.kernel[0] * spec.kernel[1]) * vecBytes;
  const whole = Math.floor(spec.channels / a.lanes);
  const rest = spec.channels - whole * a.lanes;
  const moving = [pointers.input, pointers.output];
  if (pointers.residual !== undefined) moving.push(pointers.residual);
  a.loop(whole, () => {
    emitBlock(a, spec, block, pointers, a.lanes);
    for (const pointer of moving) a.addInt(pointer, vecBytes);
    a.addInt(pointers.weights, weightBytes);
  });
  if (rest > 0) emitBlock(a, spec, block, pointers, rest);
  for (const pointer of moving) a.subtractInt(pointer, whole * vecBytes);
  a.subtractInt(pointers.weights, whole * weightBytes);
}

/** One product of a block: which sum, which tap, and where the input lies. */
interface Product {
  readonly row: number;
  readonly column: number;
  readonly tap: number;
  readonly offset: number;
}

function productsOf(spec: DepthwiseSpec, block: DepthwiseBlock): Product[] {
  const products: Product[] = [];
  for (const [row, { first: top, end: bottom }] of spec.rows.entries())
    for (const [column, { first: left, end: right }] of block.taps.entries())
      for (let i = top; i < bottom; i++)
        for (let j = left; j < right; j++)
          products.push({
            row,
            column,
            tap: i * spec.kernel[1] + j,
            offset:
              row * spec.rowStride +
              i * spec.kernelRowStride -
              spec.before +
              column * spec.columnStride +
              j * spec.tapStride -
              block.before,
          });
  return products;
}

/** Like things together, in order of their keys. */
function groupBy(products: readonly Product[], key: (product: Product) => number): Product[][] {
  const groups = new Map<number, Product[]>();
  for (const product of products) {
    const group = groups.get(key(product));
    if (group === undefined) groups.set(key(product), [product]);
    else group.push(product);
  }
  return [...groups].sort(([a], [b]) => a - b).map(([, group]) => group);
}

function emitBlock(
  a: VectorAssembler,
  spec: DepthwiseSpec,
  block: DepthwiseBlock,
  { input, weights, output, residual }: Pointers,
  count: number,
): void {
  const vecBytes = a.lanes * 4;
  const sums = spec.rows.map(() => block.taps.map(() => a.newVec()));
  const first = sums[0]?.[0];
  for (const sum of sums.flat()) {
    if (first === undefined || sum === first) a.load(sum, at(weights));
    else a.move(sum, first);
  }
  const add = (product: Product, left: Vec, right: Vec | Address): void => {
    const sum = sums[product.row]?.[product.column];
    if (sum !== undefined) a.fma(sum, left, right);
  };
  const products = productsOf(spec, block);
  const tapAt = (tap: number): Address => at(weights, (1 + tap) * vecBytes);
  if (spec.keepsTaps) addByInput(a, products, input, tapAt, count, add);
  else addByTap(a, products, input, tapAt, count, add);
  for (const [r, row] of sums.entries())
    for (const [c, sum] of row.entries()) {
      const offset = r * spec.outputRowStride + c * spec.channels * 4;
      if (residual !== undefined) {
        const x = a.newVec();
        a.load(x, at(residual, offset), count);
        a.binary('add', sum, sum, x);
        a.freeVec(x);
      }
      if (spec.activation !== null) emitActivation(a, spec.activation, sum);
      a.store(at(output, offset), sum, count);
    }
  a.freeVec(...sums.flat());
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
    for (const product of group) add(product, x, taps.get(product.tap) ?? x);
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
