/** Dense convolutions and linear layers on bf16 memory as matrix products on AMX tiles. */
import type { VectorTarget } from '../assembler/vector-assembler.ts';
import { numberToBfloat16 } from '../tensor/half.ts';
import type { Bf16Row, ConvStorage } from './bf16-row.ts';
import {
  TILE_COLUMNS,
  TILE_SCRATCH_BYTES,
  type TileSpec,
  tileKernel,
  tileSlots,
} from './bf16-tile-kernel.ts';
import { type WindowRead, windowRead } from './bf16-window.ts';
import { type ConvSizes, type ConvTask, convSizes } from './convolution-row.ts';
import type { TaskPlan, Tile } from './plan.ts';
import { type Span, spans } from './split-work.ts';
import { storageBytes } from './storage.ts';
import { evenParts } from './window-blocks.ts';

const PANEL_CHANNELS = 2 * TILE_COLUMNS;
const MOST_POSITIONS = 32;
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

function sharesOf(read: WindowRead, panels: number, wanted: number): Share[] {
  const heights = evenParts(read.positions, MOST_POSITIONS);
  const blockCount = heights.length * read.lines;
  const panelParts = Math.max(1, Math.min(panels, Math.ceil(wanted / blockCount)));
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
  return shares;
}

function planTiles(_: VectorTarget, task: ConvTask, storage: ConvStorage): TaskPlan {
  const sizes = convSizes(task);
  const read = windowRead(task, sizes, storage.input);
  const chunks = chunksOf(2 * read.runPairs);
  const weights = packTiles(task, read, chunks);
  const panels = Math.floor(sizes.outChannels / PANEL_CHANNELS);
  const outputStride = sizes.outChannels * storageBytes(storage.output);
  const panelOutput = PANEL_CHANNELS * storageBytes(storage.output);
  const panelWeights = panelBytes(2, read, chunks);
  const scratch = Math.ceil(read.copyBytes / 64) * 64;
  const shares = sharesOf(read, panels, wantedParts(sizes, weights.length));
  const tiles = shares.map((share, i): Tile => {
    const spec: TileSpec = {
      positions: share.positions,
      positionStride: read.positionStride,
      lineStride: read.lineStride,
      chunks: read.runs.flatMap(({ offset }) => chunks.starts.map(({ first }) => offset + first * 2)),
      chunk: chunks.width,
      outputStride,
      outputLineStride: read.positions * outputStride,
      restChannels: share.last ? sizes.outChannels - panels * PANEL_CHANNELS : 0,
      output: storage.output,
      residual: task.residual,
      activation: task.activation,
    };
    const line = share.image * read.imageLines + share.firstLine;
    const output =
      (line * read.positions + share.firstPosition) * outputStride + share.panels.first * panelOutput;
    const input =
      share.image * read.imageStride +
      share.firstLine * read.lineStride +
      share.firstPosition * read.positionStride;
    const slots = tileSlots({
      input: { buffer: read.buffer, offset: input },
      weights: { buffer: 'constant0', offset: share.panels.first * panelWeights },
      output: { buffer: 'output', offset: output },
      residual: task.residual ? { buffer: 'input1', offset: output } : 0,
      scratch: { buffer: 'scratch', offset: scratch + i * TILE_SCRATCH_BYTES },
      lines: share.lines,
      blocks: share.blocks,
      panels: share.panels.end - share.panels.first,
    });
    return { kernel: tileKernel(spec), slots };
  });
  return {
    constants: [weights],
    scratchBytes: scratch + tiles.length * TILE_SCRATCH_BYTES,
    steps: [...read.copy, tiles],
    flops: 2 * sizes.macs,
  };
}

function panelBytes(columns: number, read: WindowRead, chunks: Chunks): number {
  const numbers = read.runs.length * chunks.starts.length * chunks.width;
  return columns * TILE_COLUMNS * (4 + 2 * numbers);
}

/** OIHW and bias → panels as bf16-tile-kernel.ts describes them; missing channels and inputs are 0. */
function packTiles({ weight, bias }: ConvTask, read: WindowRead, chunks: Chunks): Uint8Array {
  const [outChannels = 0, inChannels = 0, height = 0, width = 0] = weight.shape;
  const taps = height * width;
  const tilesOfColumns = Math.ceil(outChannels / TILE_COLUMNS);
  const bytes = new Uint8Array(panelBytes(tilesOfColumns, read, chunks));
  const floats = new Float32Array(bytes.buffer);
  const halves = new Uint16Array(bytes.buffer);
  const number = (o: number, tap: number, i: number): number => {
    const at = tap + Math.floor(i / inChannels);
    return weight.data[(o * inChannels + (i % inChannels)) * taps + at] ?? 0;
  };
  let to = 0;
  for (let first = 0; first < tilesOfColumns; first += 2) {
    const columns = Math.min(2, tilesOfColumns - first);
    const channels = Math.min(columns * TILE_COLUMNS, outChannels - first * TILE_COLUMNS);
    const channel = first * TILE_COLUMNS;
    for (let j = 0; j < channels; j++) floats[to / 4 + j] = bias?.data[channel + j] ?? 0;
    to += columns * TILE_COLUMNS * 4;
    for (const { tap } of read.runs)
      for (const start of chunks.starts) {
        for (let j = 0; j < channels; j++)
          for (let k = start.covered; k < chunks.width; k++) {
            const i = start.first + k;
            if (i >= read.runNumbers) continue;
            const tile = Math.floor(j / TILE_COLUMNS) * chunks.width * TILE_COLUMNS;
            const pair = (Math.floor(k / 2) * TILE_COLUMNS + (j % TILE_COLUMNS)) * 2 + (k % 2);
            halves[to / 2 + tile + pair] = numberToBfloat16(number(channel + j, tap, i));
          }
        to += columns * TILE_COLUMNS * chunks.width * 2;
      }
  }
  return bytes;
}

export const tilesRow: Bf16Row = {
  name: 'bf16-tiles',
  computes: 'dense convolutions and linear layers, on AMX',
  applies: (target, task) => target.features.has('tiles') && task.geometry.groups === 1,
  plan: planTiles,
};
