/**
 * Any convolution, directly over NHWC: no copy of the input is made. Rows of output are lines; positions at the
 * left and right border have blocks of their own that leave out taps in the padding, and records of border rows
 * name the kernel rows that lie inside. Each group of channels is a product of its own.
 */
import type { VectorTarget } from '../../assembler/vector-assembler.ts';
import { storesPast } from '../plan/large-tensors.ts';
import type { KernelSpec, Slot, TaskPlan, Tile } from '../plan/plan.ts';
import { spans, wantedTiles } from '../plan/split-work.ts';
import {
  isWhole,
  likePositions,
  tapsInside,
  windowAxis,
  windowBlocks,
  windowStart,
} from '../plan/window-blocks.ts';
import { type PanelGroup, type PanelTile, panelGroups, panelTiles } from '../product/panel-tiles.ts';
import {
  type AnyConvTask,
  type ConvRow,
  type ConvShape,
  type ConvSizes,
  convSizes,
} from './convolution-row.ts';
import { panelKernel } from './panel-kernel.ts';
import { type PanelBlock, type PanelSpec, panelSlots } from './panel-spec.ts';
import { packPanels } from './panel-weights.ts';

/** Consecutive output rows for which the same kernel rows lie inside the input. */
interface Lines {
  readonly image: number;
  readonly first: number;
  readonly count: number;
}

interface Context {
  readonly task: ConvShape;
  readonly sizes: ConvSizes;
  readonly lanes: number;
}

function planDirect(target: VectorTarget, task: AnyConvTask, tile?: PanelTile): TaskPlan {
  const sizes = convSizes(task);
  const { lanes } = target;
  const context: Context = { task, sizes, lanes };
  const { groups: convGroups, kernel } = task.geometry;
  const groupOut = sizes.outChannels / convGroups;
  const steps = sizes.groupChannels * kernel[0] * kernel[1];
  const problem = { positions: sizes.outWidth, vectors: Math.ceil(groupOut / lanes), steps };
  const chosen = tile ?? panelTiles(target, problem)[0];
  const groups = panelGroups(groupOut, lanes, chosen?.vectors ?? 1);
  const packed = packPanels(task, lanes, groups);
  const blocks = lineBlocks(context, chosen?.positions ?? 1);
  const panels = groups.map((group, index) => ({
    group,
    kernel: panelKernel(directSpec(context, group, blocks)),
    weights: (convGroup: number) => packed.at(convGroup, index),
  }));
  const tiles: Tile[] = [];
  for (const lines of lineGroups(context, wantedTiles(2 * sizes.macs)))
    for (let g = 0; g < convGroups; g++)
      for (const { group, kernel, weights } of panels)
        tiles.push(directTile(context, lines, g, group, kernel, weights(g)));
  const { constants, scratchBytes, steps: before } = packed;
  return { constants, scratchBytes, steps: [...before, tiles], flops: 2 * sizes.macs };
}

function lineBlocks({ task, sizes }: Context, most: number): readonly PanelBlock[] {
  const axis = windowAxis(task.geometry, 1, sizes.width, sizes.outWidth);
  return windowBlocks(axis, most).map(({ first, taps, repeat }) => {
    const start = windowStart(axis, first) * sizes.inChannels * 4;
    return { taps, repeat, start: Math.max(0, start), before: Math.max(0, -start) };
  });
}

function lineGroups({ task, sizes }: Context, wanted: number): readonly Lines[] {
  const axis = windowAxis(task.geometry, 0, sizes.height, sizes.outHeight);
  const most = Math.max(1, Math.ceil((sizes.images * sizes.outHeight) / wanted));
  return Array.from({ length: sizes.images }, (_, image) =>
    likePositions(axis).flatMap(({ first, end }) =>
      spans(end - first, Math.ceil((end - first) / most)).map((span) => ({
        image,
        first: first + span.first,
        count: span.end - span.first,
      })),
    ),
  ).flat();
}

function directTile(
  { task, sizes, lanes }: Context,
  lines: Lines,
  convGroup: number,
  group: PanelGroup,
  kernel: KernelSpec,
  weights: Slot,
): Tile {
  const axis = windowAxis(task.geometry, 0, sizes.height, sizes.outHeight);
  const { first, end } = tapsInside(axis, lines.first);
  const row = end > first ? windowStart(axis, lines.first) + first * axis.dilation : 0;
  const input =
    ((lines.image * sizes.height + row) * sizes.width * sizes.inChannels + convGroup * sizes.groupChannels) *
    4;
  const channel = (convGroup * sizes.outChannels) / task.geometry.groups + group.firstVector * lanes;
  const line = lines.image * sizes.outHeight + lines.first;
  const output = (line * sizes.outWidth * sizes.outChannels + channel) * 4;
  const kernelRowWeights = task.geometry.kernel[1] * sizes.groupChannels * group.vectors * lanes * 4;
  const slots = panelSlots({
    input: { buffer: 'input0', offset: input },
    weights,
    output: { buffer: 'output', offset: output },
    residual: task.residual ? { buffer: 'input1', offset: output } : 0,
    panels: group.count,
    lines: lines.count,
    kernelRows: end - first,
    skippedWeights: first * kernelRowWeights,
    ahead: 0,
    repeats: [],
  });
  return { kernel, slots };
}

function directSpec({ task, sizes }: Context, group: PanelGroup, blocks: readonly PanelBlock[]): PanelSpec {
  const { kernel, stride, dilation } = task.geometry;
  const rowBytes = sizes.width * sizes.inChannels * 4;
  const axis = windowAxis(task.geometry, 0, sizes.height, sizes.outHeight);
  const whole = Array.from({ length: sizes.outHeight }, (_, row) =>
    isWhole(axis.kernel, tapsInside(axis, row)),
  );
  return {
    kernel,
    channels: sizes.groupChannels,
    tapStride: dilation[1] * sizes.inChannels * 4,
    kernelRowStride: dilation[0] * rowBytes,
    positionStride: stride[1] * sizes.inChannels * 4,
    lineStride: stride[0] * rowBytes,
    outputStride: sizes.outChannels * 4,
    outputLineStride: sizes.outWidth * sizes.outChannels * 4,
    vectors: group.vectors,
    lastLanes: group.lastLanes,
    blocks,
    prefetch: 0,
    ahead: 0,
    streams: false,
    past: storesPast(
      sizes.images,
      sizes.images * sizes.outHeight * sizes.outWidth * sizes.outChannels * 4,
      sizes.outChannels / task.geometry.groups,
    ),
    clipsRows: whole.includes(false),
    residual: task.residual,
    activation: task.activation,
  };
}

/** Any kernel, stride, dilation and groups. */
export const directRow: ConvRow = {
  name: 'direct',
  applies: () => true,
  plan: planDirect,
};
