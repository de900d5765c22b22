/** Dense convolutions and linear layers as matrix products of bf16 factors. */

import type { Feature } from '../../../assembler/vector-assembler.ts';
import { bfloat16ToNumber, numberToBfloat16 } from '../../../tensor/half.ts';
import { type ConvSizes, type ConvTask, convSizes } from '../../convolution/convolution-row.ts';
import type { TaskPlan, Tile } from '../../plan/plan.ts';
import { alignUp } from '../../plan/scratch-layout.ts';
import { type Span, spans } from '../../plan/split-work.ts';
import { evenParts } from '../../plan/window-blocks.ts';
import { channelBytes, pixelBytes } from '../../vector/storage.ts';
import {
  COLUMN_CHANNELS,
  PANEL_COLUMNS,
  type ProductChunk,
  type ProductSpec,
  type ProductUnit,
  productKernel,
  productSlots,
  SCRATCH_BYTES,
} from './bf16-product-kernel.ts';
import type { Bf16Conv, Bf16Row } from './bf16-row.ts';
import { dotUnit, tileUnit } from './bf16-units.ts';
import { type WindowRead, windowRead } from './bf16-window.ts';

const PANEL_CHANNELS = PANEL_COLUMNS * COLUMN_CHANNELS;
const MOST_CHUNK = 32;

/** Work that a tile should at least hold: arithmetic, and weights that come from far. */
const FLOPS_A_TILE = 6_000_000;
const WEIGHT_BYTES_A_TILE = 256 * 1024;
const MOST_TILES = 16;

/** How runs are cut into chunks of one width. */
interface Chunks {
  readonly width: number;
  /** Where chunks begin in a run, and how many of their first numbers an earlier chunk already has. */
  readonly starts: readonly { readonly first: number; readonly covered: number }[];
}

function chunksOf(run: number): Chunks {
  const count = Math.ceil(run / MOST_CHUNK);
  const even = run % (2 * count) === 0;
  const width = even ? run / count : Math.min(MOST_CHUNK, run);
  const starts = Array.from({ length: count }, (_, i) => {
    const first = Math.min(i * width, run - width);
    return { first, covered: i * width - first };
  });
  return { width, starts };
}

/** A share of blocks or lines of one height, and of panels. */
interface Share {
  readonly positions: number;
  /** Bytes into the line. */
  readonly firstPosition: number;
  readonly image: number;
  readonly firstLine: number;
  readonly lines: number;
  readonly blocks: number;
  readonly panels: Span;
  readonly last: boolean;
}

function wantedParts({ macs }: ConvSizes, weightBytes: number): number {
  const wanted = Math.max((2 * macs) / FLOPS_A_TILE, weightBytes / WEIGHT_BYTES_A_TILE);
  return Math.max(1, Math.min(MOST_TILES, Math.round(wanted)));
}

interface Parts {
  readonly wanted: number;
  /** Into which panels are cut at least. */
  readonly ofPanels: number;
}

function sharesOf(
  read: WindowRead,
  mostPositions: number,
  panels: number,
  { wanted, ofPanels }: Parts,
): Share[] {
  const heights = evenParts(read.positions, mostPositions);
  const blockCount = heights.length * read.lines;
  const panelParts = Math.max(1, Math.min(panels, Math.max(ofPanels, Math.ceil(wanted / blockCount))));
  const blockParts = Math.ceil(wanted / panelParts);
  const shares: Share[] = [];
  let firstPosition = 0;
  for (const positions of new Set(heights)) {
    const blocks = heights.filter((height) => height === positions).length;
    const parts = Math.max(1, Math.round((blockParts * blocks) / heights.length));
    const add = (image: number, firstLine: number, lines: number, from: number, count: number): void => {
      spans(Math.max(1, panels), panelParts).forEach((span, i, all) => {
        shares.push({
          positions,
          firstPosition: firstPosition + from * positions,
          image,
          firstLine,
          lines,
          blocks: count,
          panels: panels === 0 ? { first: 0, end: 0 } : span,
          last: i === all.length - 1,
        });
      });
    };
    const images = read.lines / read.imageLines;
    for (let image = 0; image < images; image++)
      if (read.imageLines === 1)
        for (const { first, end } of spans(blocks, parts)) add(image, 0, 1, first, end - first);
      else
        for (const { first, end } of spans(read.imageLines, Math.ceil(parts / images)))
          add(image, first, end - first, 0, blocks);
    firstPosition += blocks * positions;
  }
  // Of weights that the second cache hardly holds, each part is used up before the next one is fetched.
  return shares.sort((a, b) => a.panels.first - b.panels.first);
}

function planProduct(unit: ProductUnit, task: ConvTask, how: Bf16Conv): TaskPlan {
  const sizes = convSizes(task);
  const read = windowRead(task, sizes, how.input, how.terms.input);
  const cut = chunksOf(2 * read.runPairs);
  const blocks = weightBlocks(read, cut, how.terms.weights);
  const length = panelBytes(Math.ceil(sizes.outChannels / COLUMN_CHANNELS), blocks, cut.width);
  const write = (zeros: Uint8Array): void => packProduct(zeros, task, read, cut.width, blocks);
  const panels = Math.floor(sizes.outChannels / PANEL_CHANNELS);
  const scratch = alignUp(read.copyBytes);
  const outputStride = pixelBytes(how.output, sizes.outChannels);
  const chunks = productChunks(read, cut, how.terms.weights);
  const parts: Parts = {
    wanted: wantedParts(sizes, length),
    ofPanels: Math.ceil(length / unit.nearWeightBytes),
  };
  const tiles = sharesOf(read, unit.mostPositions, panels, parts).map((share, i): Tile => {
    const spec: ProductSpec = {
      positions: share.positions,
      positionStride: read.positionStride,
      lineStride: read.lineStride,
      chunks,
      inputTerms: how.terms.input,
      chunk: cut.width,
      outputStride,
      outputLineStride: read.positions * outputStride,
      restChannels: share.last ? sizes.outChannels - panels * PANEL_CHANNELS : 0,
      channels: sizes.outChannels,
      output: how.output,
      residual: task.residual,
      activation: task.activation,
    };
    const line = share.image * read.imageLines + share.firstLine;
    const channel = share.panels.first * PANEL_CHANNELS;
    const output =
      (line * read.positions + share.firstPosition) * outputStride + channel * channelBytes(how.output);
    const input =
      share.image * read.imageStride +
      share.firstLine * read.lineStride +
      share.firstPosition * read.positionStride;
    const slots = productSlots({
      input: { buffer: read.buffer, offset: input },
      weights: { buffer: 'constant0', offset: share.panels.first * panelBytes(2, blocks, cut.width) },
      output: { buffer: 'output', offset: output },
      residual: task.residual ? { buffer: 'input1', offset: output } : 0,
      scratch: { buffer: 'scratch', offset: scratch + i * SCRATCH_BYTES },
      lines: share.lines,
      blocks: share.blocks,
      panels: share.panels.end - share.panels.first,
    });
    return { kernel: productKernel(unit, spec), slots };
  });
  return {
    constants: [{ length, write }],
    scratchBytes: scratch + tiles.length * SCRATCH_BYTES,
    steps: [...read.copy, tiles],
    flops: 2 * sizes.macs,
  };
}

/** Inputs chunk by chunk; second terms of inputs meet only the first term of weights. */
function productChunks(
  { runs, termStride }: WindowRead,
  { starts }: Chunks,
  weightTerms: number,
): readonly ProductChunk[] {
  return runs.flatMap(({ offset }) =>
    starts.flatMap(({ first }) => {
      const start = offset + first * 2;
      const chunk = { offset: start, terms: weightTerms };
      return termStride === undefined ? [chunk] : [chunk, { offset: start + termStride, terms: 1 }];
    }),
  );
}

/** A block of packed weights: which numbers of a run, of which tap, and which term of them. */
interface WeightBlock {
  readonly tap: number;
  readonly first: number;
  readonly covered: number;
  readonly remainder: boolean;
}

/** In the order of `productChunks`. */
function weightBlocks(read: WindowRead, cut: Chunks, weightTerms: number): readonly WeightBlock[] {
  return read.runs.flatMap(({ tap }) =>
    cut.starts.flatMap((start): WeightBlock[] => {
      const block = { tap, ...start, remainder: false };
      const blocks = weightTerms === 1 ? [block] : [block, { ...block, remainder: true }];
      return read.termStride === undefined ? blocks : [...blocks, block];
    }),
  );
}

function panelBytes(columns: number, blocks: readonly WeightBlock[], width: number): number {
  return columns * COLUMN_CHANNELS * (4 + 2 * blocks.length * width);
}

/** OIHW and bias → panels as bf16-product-kernel.ts describes them; missing channels and inputs are 0. */
function packProduct(
  bytes: Uint8Array,
  { weight, bias }: ConvTask,
  read: WindowRead,
  width: number,
  blocks: readonly WeightBlock[],
): void {
  const [outChannels = 0, inChannels = 0, kernelHeight = 0, kernelWidth = 0] = weight.shape;
  const taps = kernelHeight * kernelWidth;
  const columnsInAll = Math.ceil(outChannels / COLUMN_CHANNELS);
  const floats = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  const bits = (o: number, { tap, remainder }: WeightBlock, i: number): number => {
    const at = (o * inChannels + (i % inChannels)) * taps + tap + Math.floor(i / inChannels);
    const value = weight.data[at] ?? 0;
    const rounded = numberToBfloat16(value);
    return remainder ? numberToBfloat16(value - bfloat16ToNumber(rounded)) : rounded;
  };
  let to = 0;
  for (let first = 0; first < columnsInAll; first += 2) {
    const columns = Math.min(2, columnsInAll - first);
    const channel = first * COLUMN_CHANNELS;
    const channels = Math.min(columns * COLUMN_CHANNELS, outChannels - channel);
    for (let j = 0; j < channels; j++) floats[to / 4 + j] = bias?.data[channel + j] ?? 0;
    to += columns * COLUMN_CHANNELS * 4;
    for (const block of blocks) {
      const end = Math.min(width, read.runNumbers - block.first);
      for (let j = 0; j < channels; j++) {
        const tile =
          to / 2 + Math.floor(j / COLUMN_CHANNELS) * width * COLUMN_CHANNELS + (j % COLUMN_CHANNELS) * 2;
        for (let k = block.covered; k < end; k++)
          halves[tile + Math.floor(k / 2) * COLUMN_CHANNELS * 2 + (k % 2)] = bits(
            channel + j,
            block,
            block.first + k,
          );
      }
      to += columns * COLUMN_CHANNELS * width * 2;
    }
  }
}

const row = (unit: ProductUnit, feature: Feature): Bf16Row => ({
  name: `bf16-${unit.name}`,
  applies: (target) => target.features.has(feature),
  plan: (task, how) => planProduct(unit, task, how),
});

/** In the order of preference. */
export const bf16Rows: readonly Bf16Row[] = [row(tileUnit, 'tiles'), row(dotUnit, 'bf16Dot')];
