/**
 * 1×1 convolution at stride 1, and linear layers: a matrix product. All rows of all pictures are one line of
 * positions, which blocks of two heights cover without a rest (49 rows are 13 + 12 + 12 + 12).
 */
import type { VectorTarget } from '../../assembler/vector-assembler.ts';
import { isUnitStride } from '../../graph/geometry.ts';
import { isLarge, rowsCollide, storesPast } from '../plan/large-tensors.ts';
import type { TaskPlan, Tile } from '../plan/plan.ts';
import { type Span, spans, wantedTiles } from '../plan/split-work.ts';
import { evenParts } from '../plan/window-blocks.ts';
import { type PanelGroup, type PanelTile, panelGroups, panelTiles } from '../product/panel-tiles.ts';
import {
  type AnyConvTask,
  type ConvRow,
  type ConvShape,
  type ConvSizes,
  convSizes,
} from './convolution-row.ts';
import { panelKernel } from './panel-kernel.ts';
import { panelTurns } from './panel-run.ts';
import { type PanelBlock, type PanelSpec, panelSlots } from './panel-spec.ts';
import { packPanels } from './panel-weights.ts';

const wholePoint = { first: 0, end: 1 };

/**
 * Bytes of weights to fetch ahead: in a net they come from afar each time, and the first block of a panel would
 * wait for them. A single row reads them once in order, which processors see by themselves.
 */
const WEIGHTS_AHEAD = 2048;

/** What may wait in the second cache. */
const MOST_AHEAD = 2 ** 18;
const LEAST_AHEAD = 4;
const CACHE_LINE = 64;

/**
 * How much of what comes next each turn of a loop fetches: the next panel, since its first block would take it from
 * afar faster than it comes, and what lies behind where that is not too much, as a layer's weights lie before those
 * of the next one. Nothing where a panel lasts so long that its beginning hardly counts, or where it is read once.
 */
function bytesAhead(panelBytes: number, turns: number): number {
  if (turns === 0) return 0;
  const lines = Math.ceil(panelBytes / turns / CACHE_LINE) * CACHE_LINE;
  if (lines * turns <= MOST_AHEAD) return lines;
  const bytes = Math.ceil(panelBytes / turns);
  return bytes < LEAST_AHEAD ? 0 : bytes;
}

/** Blocks of equal height next to each other. */
interface Heights {
  readonly height: number;
  readonly count: number;
}

function heightsOf(parts: readonly number[]): readonly Heights[] {
  return [...new Set(parts)].map((height) => ({ height, count: parts.filter((p) => p === height).length }));
}

export function isPointwise({ geometry }: ConvShape): boolean {
  return (
    geometry.groups === 1 &&
    geometry.kernel[0] === 1 &&
    geometry.kernel[1] === 1 &&
    isUnitStride(geometry) &&
    geometry.padding.every((n) => n === 0)
  );
}

/** Which panels of a group and which blocks a tile of work takes. */
interface Share {
  readonly group: number;
  readonly panels: Span;
  readonly blocks: Span;
}

/** What a tile reads again for each panel should stay in the second cache. */
const INPUT_BYTES_A_TILE = 2 ** 18;

/**
 * Cuts the larger operand first, since what is not cut is read by every tile.
 * @param panelCounts panels of each group
 */
function shares(sizes: ConvSizes, panelCounts: readonly number[], blocks: number): readonly Share[] {
  const rows = sizes.images * sizes.height * sizes.width;
  const wanted = wantedTiles(2 * sizes.macs);
  const panels = panelCounts.reduce((sum, count) => sum + count, 0);
  const panelParts =
    sizes.outChannels > rows ? Math.min(wanted, panels) : Math.ceil(wanted / Math.min(wanted, blocks));
  const inputParts = Math.ceil((rows * sizes.inChannels * 4) / INPUT_BYTES_A_TILE);
  const blockParts = Math.max(inputParts, Math.ceil(wanted / panelParts));
  return panelCounts.flatMap((count, group) =>
    spans(count, Math.max(1, Math.round((panelParts * count) / panels))).flatMap((panels) =>
      spans(blocks, blockParts).map((blocks) => ({ group, panels, blocks })),
    ),
  );
}

/** The tile that suits the size of a problem. */
export function pointwiseTile(target: VectorTarget, task: ConvShape): PanelTile | undefined {
  const { images, height, width, inChannels, outChannels } = convSizes(task);
  const vectors = Math.ceil(outChannels / target.lanes);
  return panelTiles(target, { positions: images * height * width, vectors, steps: inChannels })[0];
}

export function planPointwise(target: VectorTarget, task: AnyConvTask, tile?: PanelTile): TaskPlan {
  const sizes = convSizes(task);
  const { images, height, width, inChannels, outChannels, macs } = sizes;
  const { lanes } = target;
  const rows = images * height * width;
  const chosen = tile ?? pointwiseTile(target, task);
  const parts = evenParts(rows, chosen?.positions ?? 1);
  const heights = heightsOf(parts);
  const groups = panelGroups(outChannels, lanes, chosen?.vectors ?? 1);
  const turns = rows > 1 ? parts.length * panelTurns(target, inChannels) : 0;
  const aheads = groups.map(({ vectors }) => bytesAhead(vectors * lanes * 4 * (1 + inChannels), turns));
  const kernels = groups.map((group, i) => panelKernel(pointwiseSpec(task, group, heights, aheads[i] ?? 0)));
  const packed = packPanels(task, lanes, groups);
  const counts = groups.map((group) => group.count);
  const tiles: Tile[] = [];
  for (const { group: index, panels, blocks } of shares(sizes, counts, parts.length)) {
    const group = groups[index];
    const kernel = kernels[index];
    if (group === undefined || kernel === undefined) continue;
    const row = parts.slice(0, blocks.first).reduce((sum, part) => sum + part, 0);
    const panelBytes = group.vectors * lanes * 4;
    const channelBytes = group.firstVector * lanes * 4 + panels.first * panelBytes;
    const weights = packed.at(0, index, panels.first * panelBytes * (1 + inChannels));
    const output = row * outChannels * 4 + channelBytes;
    const slots = panelSlots({
      input: { buffer: 'input0', offset: row * inChannels * 4 },
      weights,
      output: { buffer: 'output', offset: output },
      residual: task.residual ? { buffer: 'input1', offset: output } : 0,
      panels: panels.end - panels.first,
      lines: 1,
      kernelRows: 1,
      skippedWeights: 0,
      ahead:
        panelBytes * (1 + inChannels) + blocks.first * panelTurns(target, inChannels) * (aheads[index] ?? 0),
      repeats: repeatsWithin(heights, blocks),
    });
    tiles.push({ kernel, slots });
  }
  const { constants, scratchBytes, steps } = packed;
  return { constants, scratchBytes, steps: [...steps, tiles], flops: 2 * macs };
}

/** How many blocks of each height lie in a span of all blocks. */
function repeatsWithin(heights: readonly Heights[], span: Span): readonly number[] {
  let first = 0;
  return heights.map(({ count }) => {
    const repeat = Math.max(0, Math.min(span.end, first + count) - Math.max(span.first, first));
    first += count;
    return repeat;
  });
}

function pointwiseSpec(
  task: ConvShape,
  group: PanelGroup,
  heights: readonly Heights[],
  ahead: number,
): PanelSpec {
  const { images, height, width, inChannels, outChannels } = convSizes(task);
  const rows = images * height * width;
  const blocks = heights.map(
    ({ height }): PanelBlock => ({
      taps: Array.from({ length: height }, () => wholePoint),
      repeat: 'slot',
      start: 0,
      before: 0,
    }),
  );
  return {
    kernel: [1, 1],
    channels: inChannels,
    tapStride: inChannels * 4,
    kernelRowStride: 0,
    positionStride: inChannels * 4,
    lineStride: 0,
    outputStride: outChannels * 4,
    outputLineStride: 0,
    vectors: group.vectors,
    lastLanes: group.lastLanes,
    blocks,
    prefetch: rows > 1 ? WEIGHTS_AHEAD : 0,
    ahead,
    streams: isLarge(rows * inChannels * 4) && !rowsCollide(inChannels * 4),
    past: storesPast(images, rows * outChannels * 4, outChannels),
    clipsRows: false,
    residual: task.residual,
    activation: task.activation,
  };
}

/** 1×1 at stride 1, one group; linear layers. */
export const pointwiseRow: ConvRow = {
  name: 'pointwise',
  applies: isPointwise,
  plan: planPointwise,
};
