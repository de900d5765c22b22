/**
 * 1×1 convolution at stride 1, and linear layers: a matrix product. All rows of all pictures are one line of
 * positions, which blocks of two heights cover without a rest (49 rows are 13 + 12 + 12 + 12).
 */
import type { VectorTarget } from '../assembler/vector-assembler.ts';
import { isUnitStride } from '../graph/geometry.ts';
import { type ConvRow, type ConvTask, convSizes } from './convolution-row.ts';
import { type PanelBlock, type PanelSpec, panelKernel, panelSlots } from './panel-kernel.ts';
import { type PanelGroup, type PanelTile, panelGroups, panelTiles } from './panel-tiles.ts';
import { packPanels } from './panel-weights.ts';
import type { TaskPlan, Tile } from './plan.ts';
import { type Span, spans, wantedTiles } from './split-work.ts';
import { evenParts } from './window-blocks.ts';

const wholePoint = { first: 0, end: 1 };

/** Blocks of equal height next to each other. */
interface Heights {
  readonly height: number;
  readonly count: number;
}

function heightsOf(parts: readonly number[]): readonly Heights[] {
  return [...new Set(parts)].map((height) => ({ height, count: parts.filter((p) => p === height).length }));
}

function isPointwise({ geometry }: ConvTask): boolean {
  return (
    geometry.groups === 1 &&
    geometry.kernel[0] === 1 &&
    geometry.kernel[1] === 1 &&
    isUnitStride(geometry) &&
    geometry.padding.every((n) => n === 0)
  );
}

/** Which panels and which blocks a tile of work takes. */
interface Share {
  readonly group: number;
  readonly panels: Span;
  readonly blocks: Span;
}

/** Cuts the larger operand first: what is not cut is read by every tile. */
function shares(groups: readonly PanelGroup[], blocks: number, wanted: number, byPanels: boolean): Share[] {
  const panels = groups.reduce((sum, group) => sum + group.count, 0);
  const panelParts = byPanels ? Math.min(wanted, panels) : Math.ceil(wanted / Math.min(wanted, blocks));
  const blockParts = Math.ceil(wanted / panelParts);
  const result: Share[] = [];
  for (const [group, { count }] of groups.entries()) {
    const parts = Math.max(1, Math.round((panelParts * count) / panels));
    for (const panelSpan of spans(count, parts))
      for (const blockSpan of spans(blocks, blockParts))
        result.push({ group, panels: panelSpan, blocks: blockSpan });
  }
  return result;
}

export function planPointwise(target: VectorTarget, task: ConvTask, tile?: PanelTile): TaskPlan {
  const { images, height, width, inChannels, outChannels, macs } = convSizes(task);
  const { lanes } = target;
  const rows = images * height * width;
  const problem = { positions: rows, vectors: Math.ceil(outChannels / lanes), steps: inChannels };
  const chosen = tile ?? panelTiles(target, problem)[0];
  const parts = evenParts(rows, chosen?.positions ?? 1);
  const heights = heightsOf(parts);
  const groups = panelGroups(outChannels, lanes, chosen?.vectors ?? 1);
  const packed = packPanels(task, lanes, groups);
  const kernels = groups.map((group) => panelKernel(pointwiseSpec(task, group, heights)));
  const starts = parts.map((_, i) => parts.slice(0, i).reduce((sum, part) => sum + part, 0));
  const byPanels = outChannels > rows;
  const tiles = shares(groups, parts.length, wantedTiles(2 * macs), byPanels).map((share): Tile => {
    const group = groups[share.group];
    const kernel = kernels[share.group];
    if (group === undefined || kernel === undefined)
      return { kernel: { name: '', generate: () => {} }, slots: [] };
    const row = starts[share.blocks.first] ?? 0;
    const panelBytes = group.vectors * lanes * 4;
    const output = row * outChannels * 4 + group.firstVector * lanes * 4 + share.panels.first * panelBytes;
    const slots = panelSlots({
      input: { buffer: 'input0', offset: row * inChannels * 4 },
      weights: {
        buffer: 'constant0',
        offset: packed.offset(0, share.group) + share.panels.first * panelBytes * (1 + inChannels),
      },
      output: { buffer: 'output', offset: output },
      residual: task.residual ? { buffer: 'input1', offset: output } : 0,
      panels: share.panels.end - share.panels.first,
      lines: 1,
      kernelRows: 1,
      skippedWeights: 0,
      repeats: repeatsWithin(heights, share.blocks),
    });
    return { kernel, slots };
  });
  return { constants: [packed.bytes], scratchBytes: 0, steps: [tiles], flops: 2 * macs };
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

function pointwiseSpec(task: ConvTask, group: PanelGroup, heights: readonly Heights[]): PanelSpec {
  const { inChannels, outChannels } = convSizes(task);
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
    clipsRows: false,
    residual: task.residual,
    activation: task.activation,
  };
}

export const pointwiseRow: ConvRow = {
  name: 'pointwise',
  computes: '1×1 at stride 1, one group; linear layers',
  applies: isPointwise,
  plan: planPointwise,
};
