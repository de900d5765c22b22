/**
 * dw of a depthwise convolution: parts of the batch are summed apart and added up in order, so that the result is
 * the same for any number of threads.
 */
import { at, type VectorAssembler, type VectorTarget } from '../../../assembler/vector-assembler.ts';
import { emitStridedCopy } from '../../copy/strided-copy.ts';
import type { KernelSpec, TaskPlan, Tile } from '../../plan/plan.ts';
import { type ReachBlock, reachBlocks, windowReaches } from '../../plan/reach.ts';
import { type Span, spans, wantedTiles } from '../../plan/split-work.ts';
import { countBySlot } from '../../vector/emit.ts';
import {
  type ConvGradientSizes,
  type ConvGradientTask,
  convGradientSizes,
  isDepthwiseGradient,
  type WeightGradRow,
} from '../conv-gradient-row.ts';
import { depthwiseWeightGradKernel, depthwiseWeightGradSlots } from './depthwise-weight-grad-kernel.ts';

/** Output rows and columns that a block takes at once. */
const blockSizes = {
  avx512: { rows: 2, columns: 4 },
  avx2: { rows: 1, columns: 4 },
  'wasm-relaxed': { rows: 1, columns: 4 },
  wasm: { rows: 1, columns: 4 },
} as const;
/** Bound by memory: its arithmetic takes about this many times as long as that of a matrix product. */
const SLOWNESS = 3;
/** Bytes of each pixel that a tile takes at least, where it does not take all channels: memory likes long reads. */
const BYTES_A_PIXEL = 512;

/** Some strips of one picture, or some whole pictures. */
interface Part {
  readonly image: number;
  readonly images: number;
  /** Number of the first strip, and how many of each kind. */
  readonly strip: number;
  readonly repeats: readonly number[];
}

/** All strips of all pictures in about so many parts. */
function partsOf(images: number, strips: readonly ReachBlock[], wanted: number): readonly Part[] {
  const all = strips.map(({ repeat }) => repeat);
  if (wanted <= images || all.length === 0)
    return spans(images, wanted).map(({ first, end }) => ({
      image: first,
      images: end - first,
      strip: 0,
      repeats: all,
    }));
  const count = all.reduce((sum, repeat) => sum + repeat, 0);
  return Array.from({ length: images }, (_, image) =>
    spans(count, Math.ceil(wanted / images)).map(
      (span): Part => ({ image, images: 1, strip: span.first, repeats: repeatsWithin(all, span) }),
    ),
  ).flat();
}

function repeatsWithin(all: readonly number[], { first, end }: Span): readonly number[] {
  let before = 0;
  return all.map((repeat) => {
    const within = Math.max(0, Math.min(end, before + repeat) - Math.max(first, before));
    before += repeat;
    return within;
  });
}

/** Where a strip begins: the output row, and the first input row it reads. */
function stripStart(strips: readonly ReachBlock[], number: number): { outRow: number; inRow: number } {
  let before = 0;
  for (const { first, reaches, start, advance, repeat } of strips) {
    const within = number - before;
    if (within < repeat) return { outRow: first + within * reaches.length, inRow: start + within * advance };
    before += repeat;
  }
  return { outRow: 0, inRow: 0 };
}

function planDepthwiseWeightGrad(target: VectorTarget, task: ConvGradientTask): TaskPlan {
  const sizes = convGradientSizes(task);
  const { lanes } = target;
  const { rows, columns } = blockSizes[target.name];
  const strips = reachBlocks(windowReaches(sizes.vertical), rows);
  const blocks = reachBlocks(windowReaches(sizes.horizontal), columns);
  const pixel = sizes.inChannels * 4;
  const common = {
    kernel: task.geometry.kernel,
    strips,
    columns: blocks,
    pixel,
    inputRow: sizes.width * pixel,
    inputImage: sizes.height * sizes.width * pixel,
    outputRow: sizes.outWidth * pixel,
  };
  const vectors = Math.ceil(sizes.inChannels / lanes);
  const wanted = wantedTiles(2 * sizes.macs * SLOWNESS);
  const ranges = spans(vectors, Math.min(wanted, Math.max(1, Math.floor(pixel / BYTES_A_PIXEL))));
  const parts = partsOf(sizes.images, strips, Math.ceil(wanted / ranges.length));
  const vectorBytes = sizes.taps * lanes * 4;
  const partBytes = vectors * vectorBytes;
  const tiles = parts.flatMap((part, number) =>
    ranges.map(({ first, end }): Tile => {
      const { outRow, inRow } = stripStart(strips, part.strip);
      const lastLanes = end === vectors ? sizes.inChannels - (vectors - 1) * lanes : lanes;
      const channel = first * lanes * 4;
      const slots = depthwiseWeightGradSlots({
        x: {
          buffer: 'input0',
          offset: part.image * common.inputImage + inRow * common.inputRow + channel,
        },
        dy: {
          buffer: 'input1',
          offset: (part.image * sizes.outHeight + outRow) * common.outputRow + channel,
        },
        sums: { buffer: 'scratch', offset: number * partBytes + first * vectorBytes },
        images: part.images,
        repeats: part.repeats,
      });
      return { kernel: depthwiseWeightGradKernel({ ...common, vectors: end - first, lastLanes }), slots };
    }),
  );
  return {
    constants: [],
    scratchBytes: parts.length * partBytes,
    steps: [tiles, reduceTiles(sizes, lanes, parts.length)],
    flops: 2 * sizes.macs,
  };
}

const REDUCE = { sums: 1, weight: 2, vectors: 3 } as const;
/** Taps that are added up at once. */
const TAPS_AT_ONCE = 8;

interface ReduceSpec {
  readonly taps: number;
  readonly parts: number;
  readonly partBytes: number;
  /** Channels in a vector. */
  readonly count: number;
}

/** Adds up the parts of some vectors of channels, and turns [taps][lanes] into [channels][taps]. */
function reduceKernel(spec: ReduceSpec): KernelSpec {
  const { taps, parts, partBytes, count } = spec;
  return {
    name: `f32_depthwise_reduce_t${taps}c${count}p${parts}_s${partBytes}`,
    generate: (a) => emitReduce(a, spec),
  };
}

function emitReduce(a: VectorAssembler, { taps, parts, partBytes, count }: ReduceSpec): void {
  const sums = a.slot(REDUCE.sums);
  const weight = a.slot(REDUCE.weight);
  const part = a.newInt();
  const vecBytes = a.lanes * 4;
  countBySlot(a, REDUCE.vectors, () => {
    if (parts > 1)
      for (let first = 0; first < taps; first += TAPS_AT_ONCE) {
        const some = Array.from({ length: Math.min(TAPS_AT_ONCE, taps - first) }, (_, i) => first + i);
        const totals = some.map((tap) => ({ offset: tap * vecBytes, total: a.newVec() }));
        for (const { offset, total } of totals) a.load(total, at(sums, offset));
        a.moveInt(part, sums);
        a.loop(parts - 1, () => {
          a.addInt(part, partBytes);
          for (const { offset, total } of totals) a.binary('add', total, total, at(part, offset));
        });
        for (const { offset, total } of totals) {
          a.store(at(sums, offset), total);
          a.freeVec(total);
        }
      }
    a.moveInt(part, sums);
    a.loop(count, () => {
      emitStridedCopy(a, { count: taps, from: a.lanes, to: 1 }, part, weight);
      a.addInt(part, 4);
      a.addInt(weight, taps * 4);
    });
    a.addInt(sums, taps * vecBytes);
  });
  a.freeInt(sums, weight, part);
}

function reduceTiles(sizes: ConvGradientSizes, lanes: number, parts: number): readonly Tile[] {
  const { inChannels, taps } = sizes;
  const whole = Math.floor(inChannels / lanes);
  const rest = inChannels - whole * lanes;
  const partBytes = Math.ceil(inChannels / lanes) * taps * lanes * 4;
  const tile = (first: number, vectors: number, count: number): Tile => ({
    kernel: reduceKernel({ taps, parts, partBytes, count }),
    slots: [
      { buffer: 'scratch', offset: first * taps * lanes * 4 },
      { buffer: 'output', offset: first * lanes * taps * 4 },
      vectors,
    ],
  });
  const tiles = whole === 0 ? [] : spans(whole, wantedTiles(8 * parts * taps * inChannels));
  return [
    ...tiles.map(({ first, end }) => tile(first, end - first, lanes)),
    ...(rest > 0 ? [tile(whole, 1, rest)] : []),
  ];
}

/** One input and one output channel a group. */
export const depthwiseWeightGradRow: WeightGradRow = {
  name: 'depthwise',
  applies: isDepthwiseGradient,
  plan: planDepthwiseWeightGrad,
};
