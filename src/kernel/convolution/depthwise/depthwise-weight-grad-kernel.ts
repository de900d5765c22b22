/**
 * The code of dw of a depthwise convolution: dw[c, i, j] = Σ dy[n, row, column, c] · x[n, …, c], channels in the
 * vector lanes. Blocks of positions are walked as they lie in memory; for each vector of a block's channels all
 * taps' sums are taken from memory, where they stay in the nearest cache, added to, and put back.
 *
 *     sums   for each vector of channels: [kH·kW][lanes]
 */
import { at, type Int, type Vec, type VectorAssembler } from '../../../assembler/vector-assembler.ts';
import type { KernelSpec, Slot } from '../../plan/plan.ts';
import { type Reach, type ReachBlock, reachName } from '../../plan/reach.ts';
import { countBySlot, zeroed } from '../../vector/emit.ts';

/** Everything the code depends on; sizes are in bytes unless said otherwise. */
export interface DepthwiseWeightGradSpec {
  readonly kernel: readonly [height: number, width: number];
  /** Vectors of channels that are taken, and lanes of the last one. */
  readonly vectors: number;
  readonly lastLanes: number;
  /** Kinds of strips of output rows, from the top down, and of blocks of columns. */
  readonly strips: readonly ReachBlock[];
  readonly columns: readonly ReachBlock[];
  /** From one pixel, row and picture to the next. */
  readonly pixel: number;
  readonly inputRow: number;
  readonly inputImage: number;
  readonly outputRow: number;
}

const SLOT = { x: 1, dy: 2, sums: 3, images: 4, repeats: 5 } as const;

export interface DepthwiseWeightGradRecord {
  /** The first row that the first strip reads. */
  readonly x: Slot;
  readonly dy: Slot;
  readonly sums: Slot;
  readonly images: number;
  /** Strips of each kind; all of them where there is more than one picture. */
  readonly repeats: readonly number[];
}

export function depthwiseWeightGradSlots(record: DepthwiseWeightGradRecord): readonly Slot[] {
  return [record.x, record.dy, record.sums, record.images, ...record.repeats];
}

const blockName = ({ reaches, repeat, start, advance }: ReachBlock): string =>
  `${reachName(reaches)}*${repeat}@${start}+${advance}`;

export function depthwiseWeightGradKernel(spec: DepthwiseWeightGradSpec): KernelSpec {
  const { kernel, vectors, lastLanes, strips, columns, pixel, inputRow, inputImage, outputRow } = spec;
  const strides = [pixel, inputRow, inputImage, outputRow].join(',');
  const blocks = [strips, columns].map((each) => each.map(blockName).join(','));
  return {
    name: `f32_depthwise_weight_grad_k${kernel.join('x')}v${vectors}.${lastLanes}_s${strides}_r${blocks[0]}_b${blocks[1]}`,
    generate: (a) => emitSums(a, spec),
  };
}

interface Pointers {
  readonly x: Int;
  readonly dy: Int;
  readonly sums: Int;
}

function emitSums(a: VectorAssembler, spec: DepthwiseWeightGradSpec): void {
  const pointers: Pointers = { x: a.slot(SLOT.x), dy: a.slot(SLOT.dy), sums: a.slot(SLOT.sums) };
  const { x, dy, sums } = pointers;
  const sumBytes = spec.vectors * spec.kernel[0] * spec.kernel[1] * a.lanes * 4;
  const zero = zeroed(a);
  a.loop(sumBytes / (a.lanes * 4), () => {
    a.store(at(sums), zero);
    a.addInt(sums, a.lanes * 4);
  });
  a.subtractInt(sums, sumBytes);
  a.freeVec(zero);
  countBySlot(a, SLOT.images, () => {
    for (const [kind, strip] of spec.strips.entries()) {
      const left = a.slot(SLOT.repeats + kind);
      const end = strip.start + strip.repeat * strip.advance;
      const [first] = spec.strips;
      const next = spec.strips[kind + 1]?.start ?? (first?.start ?? 0) + spec.inputImage / spec.inputRow;
      a.ifNonZero(left, () => {
        a.whileNonZero(left, () => {
          emitStrip(a, spec, strip, pointers);
          a.addInt(x, strip.advance * spec.inputRow);
          a.addInt(dy, strip.reaches.length * spec.outputRow);
          a.subtractInt(left, 1);
        });
        a.addInt(x, (next - end) * spec.inputRow);
      });
      a.freeInt(left);
    }
  });
  a.freeInt(x, dy, sums);
}

/** A strip of rows; pointers are afterwards where they were. */
function emitStrip(
  a: VectorAssembler,
  spec: DepthwiseWeightGradSpec,
  strip: ReachBlock,
  pointers: Pointers,
): void {
  let read = 0;
  let columnsRead = 0;
  for (const { reaches, repeat, start, advance } of spec.columns) {
    a.addInt(pointers.x, (start - read) * spec.pixel);
    a.loop(repeat, () => {
      emitChannels(a, spec, { rows: strip.reaches, columns: reaches }, pointers);
      a.addInt(pointers.x, advance * spec.pixel);
      a.addInt(pointers.dy, reaches.length * spec.pixel);
    });
    read = start + repeat * advance;
    columnsRead += repeat * reaches.length;
  }
  a.subtractInt(pointers.x, read * spec.pixel);
  a.subtractInt(pointers.dy, columnsRead * spec.pixel);
}

interface Block {
  readonly rows: readonly (readonly Reach[])[];
  readonly columns: readonly (readonly Reach[])[];
}

/** A block for all channels; pointers are afterwards where they were. */
function emitChannels(
  a: VectorAssembler,
  spec: DepthwiseWeightGradSpec,
  block: Block,
  pointers: Pointers,
): void {
  const { x, dy, sums } = pointers;
  const vecBytes = a.lanes * 4;
  const sumBytes = spec.kernel[0] * spec.kernel[1] * vecBytes;
  const whole = spec.lastLanes === a.lanes ? spec.vectors : spec.vectors - 1;
  a.loop(whole, () => {
    emitBlock(a, spec, block, pointers, a.lanes);
    a.addInt(x, vecBytes);
    a.addInt(dy, vecBytes);
    a.addInt(sums, sumBytes);
  });
  if (whole < spec.vectors) emitBlock(a, spec, block, pointers, spec.lastLanes);
  a.subtractInt(x, whole * vecBytes);
  a.subtractInt(dy, whole * vecBytes);
  a.subtractInt(sums, whole * sumBytes);
}

/** One product of a block: which tap's sum, and where its factors lie. */
interface Product {
  readonly tap: number;
  readonly x: number;
  readonly dy: number;
}

function productsOf(spec: DepthwiseWeightGradSpec, { rows, columns }: Block): readonly Product[] {
  return rows.flatMap((vertical, row) =>
    columns.flatMap((horizontal, column) =>
      vertical.flatMap((i) =>
        horizontal.map((j) => ({
          tap: i.tap * spec.kernel[1] + j.tap,
          x: i.source * spec.inputRow + j.source * spec.pixel,
          dy: row * spec.outputRow + column * spec.pixel,
        })),
      ),
    ),
  );
}

/** Fetches what the next block reads and this one does not: processors do not see it coming, vector after vector. */
function fetchNext(
  a: VectorAssembler,
  spec: DepthwiseWeightGradSpec,
  block: Block,
  products: readonly Product[],
  { x, dy }: Pointers,
): void {
  const outAhead = block.columns.length * spec.pixel;
  const inAhead = outAhead * Math.max(1, Math.round(spec.inputRow / spec.outputRow));
  for (const [pointer, offsets, ahead] of [
    [dy, new Set(products.map((product) => product.dy)), outAhead],
    [x, new Set(products.map((product) => product.x)), inAhead],
  ] as const)
    for (const offset of offsets) if (!offsets.has(offset + ahead)) a.prefetch(at(pointer, offset + ahead));
}

/** As many taps at a time as registers hold. */
function emitBlock(
  a: VectorAssembler,
  spec: DepthwiseWeightGradSpec,
  block: Block,
  pointers: Pointers,
  count: number,
): void {
  const products = productsOf(spec, block);
  fetchNext(a, spec, block, products, pointers);
  const positions = block.rows.length * block.columns.length;
  const taps = [...new Set(products.map(({ tap }) => tap))].sort((left, right) => left - right);
  const most = Math.max(1, a.target.vectorRegisters - positions - 2);
  for (let first = 0; first < taps.length; first += most) {
    const some = taps.slice(first, first + most);
    emitTaps(
      a,
      products.filter(({ tap }) => some.includes(tap)),
      pointers,
      count,
    );
  }
}

function emitTaps(
  a: VectorAssembler,
  products: readonly Product[],
  { x, dy, sums }: Pointers,
  count: number,
): void {
  const vecBytes = a.lanes * 4;
  const loaded = (pointer: Int, keys: readonly number[], lanes: number): ReadonlyMap<number, Vec> =>
    new Map(
      [...new Set(keys)].map((offset) => {
        const vec = a.newVec();
        a.load(vec, at(pointer, offset), lanes);
        return [offset, vec] as const;
      }),
    );
  const totals = loaded(
    sums,
    products.map(({ tap }) => tap * vecBytes),
    a.lanes,
  );
  const factors = loaded(
    dy,
    products.map((product) => product.dy),
    count,
  );
  const input = a.newVec();
  for (const offset of [...new Set(products.map((product) => product.x))].sort((p, q) => p - q)) {
    a.load(input, at(x, offset), count);
    for (const product of products) {
      const total = totals.get(product.tap * vecBytes);
      const factor = factors.get(product.dy);
      if (product.x === offset && total !== undefined && factor !== undefined) a.fma(total, factor, input);
    }
  }
  for (const [offset, total] of totals) a.store(at(sums, offset), total);
  a.freeVec(input, ...totals.values(), ...factors.values());
}
