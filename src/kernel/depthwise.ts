/** Depthwise convolution: one input and one output channel a group, channels in the vector lanes. */
import type { VectorTarget } from '../assembler/vector-assembler.ts';
import { ACTIVATION_SCRATCH } from './activation.ts';
import {
  type AnyConvTask,
  type ComputedConvTask,
  type ConvRow,
  type ConvShape,
  type ConvSizes,
  type ConvTask,
  convSizes,
  isComputed,
} from './convolution-row.ts';
import { depthwiseKernel, depthwiseSlots } from './depthwise-kernel.ts';
import { packTile } from './pack-weights.ts';
import type { KernelSpec, TaskPlan, Tile } from './plan.ts';
import { spans, wantedTiles } from './split-work.ts';
import { type PixelStorage, pixelBytes } from './storage.ts';
import { type WindowBlock, windowAxis, windowBlocks, windowStart } from './window-blocks.ts';

export interface DepthwiseTile {
  /** Output rows and columns a block has at most. */
  readonly rows: number;
  readonly columns: number;
  /** Each input is loaded once, and all taps are kept in registers. */
  readonly keepsTaps: boolean;
}

/** Best measured first; the first that fits is taken. Larger blocks gain nothing in a net but code. */
const tileSizes: readonly DepthwiseTile[] = [
  { rows: 2, columns: 4, keepsTaps: true },
  { rows: 1, columns: 4, keepsTaps: true },
  { rows: 1, columns: 2, keepsTaps: true },
  { rows: 2, columns: 4, keepsTaps: false },
];
/** V8 allocates registers badly over long bodies, so blocks are small where taps are many. */
const wasmTileSizes: readonly DepthwiseTile[] = [
  { rows: 1, columns: 4, keepsTaps: true },
  { rows: 1, columns: 2, keepsTaps: true },
  { rows: 1, columns: 2, keepsTaps: false },
];

/** The tiles whose sums and taps fit the registers. */
export function depthwiseTiles(target: VectorTarget, task: ConvShape): readonly DepthwiseTile[] {
  const taps = task.geometry.kernel[0] * task.geometry.kernel[1];
  const sizes = target.pointerBytes === 4 ? wasmTileSizes : tileSizes;
  return sizes.filter(
    ({ rows, columns, keepsTaps }) =>
      rows * columns + Math.max(keepsTaps ? taps + 1 : 3, ACTIVATION_SCRATCH) <= target.vectorRegisters,
  );
}

export function isDepthwise(task: ConvShape): boolean {
  const { outChannels, inChannels } = convSizes(task);
  return task.geometry.groups === inChannels && outChannels === inChannels;
}

/** Bound by memory: its arithmetic takes about this many times as long as that of a matrix product. */
const SLOWNESS = 3;

/** @param output what the output holds; a residual asks for f32 */
export function planDepthwise(
  target: VectorTarget,
  task: AnyConvTask,
  tile?: DepthwiseTile,
  output: PixelStorage = 'f32',
): TaskPlan {
  const sizes = convSizes(task);
  const chosen = tile ?? depthwiseTiles(target, task)[0] ?? { rows: 1, columns: 1, keepsTaps: false };
  const strips = windowBlocks(windowAxis(task.geometry, 0, sizes.height, sizes.outHeight), chosen.rows);
  const wanted = wantedTiles(2 * sizes.macs * SLOWNESS);
  const most = Math.ceil((sizes.images * Math.ceil(sizes.outHeight / chosen.rows)) / wanted);
  const kernels = strips.map((strip) => stripKernel(task, sizes, chosen, strip, output));
  const tiles: Tile[] = [];
  for (let image = 0; image < sizes.images; image++)
    for (const [i, strip] of strips.entries())
      for (const { first, end } of spans(strip.repeat, Math.ceil(strip.repeat / most))) {
        const kernel = kernels[i];
        const row = strip.first + first * strip.taps.length;
        if (kernel !== undefined) tiles.push(stripTile(task, sizes, output, kernel, image, row, end - first));
      }
  const flops = 2 * sizes.macs;
  if (!isComputed(task))
    return { constants: [packDepthwise(task, target.lanes)], scratchBytes: 0, steps: [tiles], flops };
  const scratchBytes = packedNumbers(task, target.lanes) * 4;
  return { constants: [], scratchBytes, steps: [packTiles(task, target.lanes), tiles], flops };
}

function stripKernel(
  task: ConvShape,
  sizes: ConvSizes,
  tile: DepthwiseTile,
  strip: WindowBlock,
  output: PixelStorage,
): KernelSpec {
  const { kernel, stride, dilation } = task.geometry;
  const pixel = sizes.inChannels * 4;
  const row = sizes.width * pixel;
  const vertical = windowAxis(task.geometry, 0, sizes.height, sizes.outHeight);
  const horizontal = windowAxis(task.geometry, 1, sizes.width, sizes.outWidth);
  return depthwiseKernel({
    kernel,
    channels: sizes.inChannels,
    rows: strip.taps,
    before: Math.max(0, -windowStart(vertical, strip.first)) * row,
    blocks: windowBlocks(horizontal, tile.columns).map(({ first, taps, repeat }) => {
      const start = windowStart(horizontal, first) * pixel;
      return { taps, repeat, start: Math.max(0, start), before: Math.max(0, -start) };
    }),
    tapStride: dilation[1] * pixel,
    kernelRowStride: dilation[0] * row,
    columnStride: stride[1] * pixel,
    rowStride: stride[0] * row,
    outputRowStride: sizes.outWidth * pixelBytes(output, sizes.outChannels),
    keepsTaps: tile.keepsTaps,
    residual: task.residual,
    activation: task.activation,
    output,
  });
}

/** Strips of one kind from an output row on. */
function stripTile(
  task: AnyConvTask,
  sizes: ConvSizes,
  stored: PixelStorage,
  kernel: KernelSpec,
  image: number,
  row: number,
  strips: number,
): Tile {
  const pixel = sizes.inChannels * 4;
  const vertical = windowAxis(task.geometry, 0, sizes.height, sizes.outHeight);
  const inRow = image * sizes.height + Math.max(0, windowStart(vertical, row));
  const output = (image * sizes.outHeight + row) * sizes.outWidth * pixelBytes(stored, sizes.outChannels);
  const slots = depthwiseSlots({
    input: { buffer: 'input0', offset: inRow * sizes.width * pixel },
    weights: { buffer: isComputed(task) ? 'scratch' : 'constant0', offset: 0 },
    output: { buffer: 'output', offset: output },
    residual: task.residual ? { buffer: 'input1', offset: output } : 0,
    strips,
  });
  return { kernel, slots };
}

/** Whole vectors of channels, each with its biases and taps. */
function packedNumbers({ geometry }: ConvShape, lanes: number): number {
  return Math.ceil(geometry.groups / lanes) * lanes * (1 + geometry.kernel[0] * geometry.kernel[1]);
}

function packTiles({ weight, bias, geometry }: ComputedConvTask, lanes: number): readonly Tile[] {
  const taps = geometry.kernel[0] * geometry.kernel[1];
  const whole = Math.floor(geometry.groups / lanes);
  const rest = geometry.groups - whole * lanes;
  const spec = { rowNumbers: lanes, inner: taps, taps: 1, between: { channels: 1, taps } };
  const pack = (columns: number, vector: number, panels: number): readonly Tile[] =>
    panels === 0 || columns === 0
      ? []
      : [
          packTile(
            { ...spec, columns },
            { weight, bias, first: vector * lanes, panels, offset: vector * lanes * (1 + taps) * 4 },
          ),
        ];
  return [...pack(lanes, 0, whole), ...pack(rest, whole, 1)];
}

function packDepthwise(task: ConvTask, lanes: number): Uint8Array {
  const { weight, bias, geometry } = task;
  const taps = geometry.kernel[0] * geometry.kernel[1];
  const data = new Float32Array(packedNumbers(task, lanes));
  for (let c = 0; c < geometry.groups; c++) {
    const first = Math.floor(c / lanes) * lanes * (1 + taps) + (c % lanes);
    data[first] = bias?.data[c] ?? 0;
    for (let t = 0; t < taps; t++) data[first + (1 + t) * lanes] = weight.data[c * taps + t] ?? 0;
  }
  return new Uint8Array(data.buffer);
}

export const depthwiseRow: ConvRow = {
  name: 'depthwise',
  computes: 'one input and one output channel a group',
  applies: isDepthwise,
  plan: (target, task) => planDepthwise(target, task),
};
