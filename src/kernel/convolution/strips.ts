/**
 * Two convolutions, of which the second alone reads what the first gives, strip by strip of rows: the rows between
 * them go to a few places in scratch memory that stay in a cache, instead of through all of memory. Each strip is the
 * same two convolutions of fewer rows, with what their planners make of them; rows that two strips read are moved
 * to the front of the next one.
 *
 *     scratch   for each tile of work: rows between the two, then scratch memory of either plan
 */

import type { VectorTarget } from '../../assembler/vector-assembler.ts';
import { EngineError } from '../../errors.ts';
import { copyTiles } from '../copy/strided-copy.ts';
import { isLarge } from '../plan/large-tensors.ts';
import {
  type BufferName,
  type BufferPlace,
  callsOf,
  type KernelCall,
  type TaskPlan,
  type Tile,
} from '../plan/plan.ts';
import { type BufferPlaces, renameTiles } from '../plan/rename-buffers.ts';
import { alignUp } from '../plan/scratch-layout.ts';
import { type Span, spans } from '../plan/split-work.ts';
import { evenParts } from '../plan/window-blocks.ts';
import { type PixelStorage, pixelBytes } from '../vector/storage.ts';
import { type ConvTask, convSizes } from './convolution-row.ts';
import { isDepthwise } from './depthwise/depthwise.ts';
import { isPointwise } from './pointwise.ts';

/** One of the two. */
export interface StripStage {
  readonly task: ConvTask;
  /** How the task is planned for fewer rows; what its constants hold must not depend on their number: see `rowsPlanner`. */
  readonly plan: (task: ConvTask) => TaskPlan;
  readonly input: PixelStorage;
  readonly output: PixelStorage;
}

export interface StripOptions {
  /** Shares of rows that threads may take, at least one a picture. Rows between the two that reach across shares are computed twice. */
  readonly tiles: number;
  /** Bytes that the rows between the two of one strip should take at most. */
  readonly stripBytes?: number;
}

/** A part of a core's second cache, measured; strips of half that size cost 3 % of whole nets. */
const STRIP_BYTES = 400 * 1024;

/** Whether two convolutions can be computed in strips. */
export function canRunInStrips(first: ConvTask, second: ConvTask): boolean {
  return [first, second].every((task) => {
    const { kernel, dilation, padding } = task.geometry;
    const extent = (kernel[0] - 1) * dilation[0] + 1;
    return !task.residual && padding[0] < extent && padding[2] < extent;
  });
}

/** WebAssembly is too slow for memory to make it wait: strips gained nothing there. */
function gainsFromStrips(target: VectorTarget): boolean {
  return target.pointerBytes === 8;
}

/** Whether no cache would hold all that lies between two convolutions: then strips measure faster. */
function paysInStrips(first: ConvTask): boolean {
  const { images, outHeight, outWidth, outChannels } = convSizes(first);
  return isLarge(images * outHeight * outWidth * outChannels * 4);
}

/** Shares of what is computed in strips to save memory traffic: fewer would leave threads waiting for each other, more do work twice. */
const SHARES_A_THREAD = 2;

/** A share of rows that is larger than that many equal parts would leave the other threads waiting. */
const LARGEST_SHARE = 9 / 8;

/**
 * In how many shares two convolutions should be computed together, or undefined where they should not: where memory
 * is what they wait for, and where several threads would wait for each other between the two. A depthwise convolution
 * takes a few microseconds, less than its input takes from one core to another; so each thread goes on with the
 * pointwise one on the rows it has.
 */
export function stripShares(
  target: VectorTarget,
  first: ConvTask,
  second: ConvTask,
  threads: number,
): number | undefined {
  if (!gainsFromStrips(target) || !canRunInStrips(first, second)) return undefined;
  if (isDepthwise(second) && paysInStrips(first)) return SHARES_A_THREAD * threads;
  const { images, outHeight } = convSizes(second);
  const even =
    images === 1
      ? Math.ceil(outHeight / threads) * threads <= LARGEST_SHARE * outHeight
      : images % threads === 0;
  return threads > 1 && even && isDepthwise(first) && isPointwise(second)
    ? Math.max(threads, images)
    : undefined;
}

/** Some rows of a convolution's output as a convolution of the rows from … to−1 of its input. */
interface RowSlice {
  readonly task: ConvTask;
  readonly from: number;
  readonly to: number;
}

function sliceRows(task: ConvTask, { first, end }: Span): RowSlice {
  const { height, width, inChannels } = convSizes(task);
  const { kernel, stride, dilation, padding } = task.geometry;
  const start = first * stride[0] - padding[0];
  const stop = (end - 1) * stride[0] - padding[0] + (kernel[0] - 1) * dilation[0] + 1;
  const [from, to] = [Math.max(0, start), Math.min(height, stop)];
  const geometry = {
    ...task.geometry,
    padding: [from - start, padding[1], stop - to, padding[3]],
  } as const;
  return { task: { ...task, input: [1, to - from, width, inChannels], geometry }, from, to };
}

/** What is computed at a time: rows `rows` of the output. */
interface Strip {
  readonly image: number;
  readonly rows: Span;
  /** Rows between the two that the second reads: `kept` of them are there already, from row `keptAt` of the strip before. */
  readonly between: Span;
  readonly kept: number;
  readonly keptAt: number;
  readonly first: (RowSlice & { readonly plan: TaskPlan }) | undefined;
  readonly second: TaskPlan;
}

/** The strips of a share of rows, in order. */
function stripsOf(
  first: StripStage,
  second: StripStage,
  image: number,
  share: Span,
  mostRows: number,
): readonly Strip[] {
  const strips: Strip[] = [];
  let row = share.first;
  for (const count of evenParts(share.end - share.first, mostRows)) {
    const rows = { first: row, end: row + count };
    const { task, from, to } = sliceRows(second.task, rows);
    const before = strips.at(-1)?.between;
    const kept = before === undefined ? 0 : Math.max(0, before.end - from);
    const slice = from + kept < to ? sliceRows(first.task, { first: from + kept, end: to }) : undefined;
    strips.push({
      image,
      rows,
      between: { first: from, end: to },
      kept,
      keptAt: before === undefined ? 0 : from - before.first,
      first: slice && { ...slice, plan: first.plan(slice.task) },
      second: second.plan(task),
    });
    row += count;
  }
  return strips;
}

/** The most output rows whose strip reads no more than so many rows between the two; at least 1. */
function rowsReading({ geometry: { kernel, stride, dilation } }: ConvTask, most: number): number {
  return Math.max(1, Math.floor((most - (kernel[0] - 1) * dilation[0] - 1) / stride[0]) + 1);
}

/**
 * Buffers: `input0` of the first, `output` of the second.
 * @param first must be such that `canRunInStrips` with the second
 */
export function planStrips(first: StripStage, second: StripStage, options: StripOptions): TaskPlan {
  const [before, after] = [convSizes(first.task), convSizes(second.task)];
  const rowBytes = {
    input: before.width * pixelBytes(first.input, before.inChannels),
    between: after.width * pixelBytes(first.output, after.inChannels),
    output: after.outWidth * pixelBytes(second.output, after.outChannels),
  };
  const most = Math.floor((options.stripBytes ?? STRIP_BYTES) / rowBytes.between);
  const perImage = Math.ceil(options.tiles / after.images);
  const shares = Array.from({ length: after.images }, (_, image) =>
    spans(after.outHeight, perImage).map((share) =>
      stripsOf(first, second, image, share, rowsReading(second.task, most)),
    ),
  ).flat();
  const all = shares.flat();
  const plans = [all.flatMap((strip) => strip.first?.plan ?? []), all.map((strip) => strip.second)];
  const [firstPlans = [], secondPlans = []] = plans;
  const largest = (bytes: readonly number[]): number => alignUp(Math.max(0, ...bytes));
  const between = largest(all.map((strip) => (strip.between.end - strip.between.first) * rowBytes.between));
  const firstScratch = largest(firstPlans.map((plan) => plan.scratchBytes));
  const region = between + firstScratch + largest(secondPlans.map((plan) => plan.scratchBytes));
  const constants = [constantsOf(firstPlans), constantsOf(secondPlans)] as const;
  const tiles = shares.map((strips, i): Tile => {
    const at = (offset: number): BufferPlace => ({ buffer: 'scratch', offset: i * region + offset });
    const calls = strips.flatMap((strip) => [
      ...keepRows(strip, rowBytes.between, at),
      ...callsOfPlan(strip.first?.plan, {
        input0: {
          buffer: 'input0',
          offset: (strip.image * before.height + (strip.first?.from ?? 0)) * rowBytes.input,
        },
        output: at(strip.kept * rowBytes.between),
        scratch: at(between),
      }),
      ...callsOfPlan(strip.second, {
        input0: at(0),
        output: {
          buffer: 'output',
          offset: (strip.image * after.outHeight + strip.rows.first) * rowBytes.output,
        },
        scratch: at(between + firstScratch),
        ...renumbered(constants[1].length, constants[0].length),
      }),
    ]);
    const [call, ...next] = calls;
    if (call === undefined) throw new EngineError('strips: a share of rows has no work.');
    return { ...call, next };
  });
  return {
    constants: constants.flat(),
    scratchBytes: shares.length * region,
    steps: [tiles],
    flops: 2 * (before.macs + after.macs),
  };
}

/** The same in all strips. */
function constantsOf([plan, ...others]: readonly TaskPlan[]): TaskPlan['constants'] {
  const constants = plan?.constants ?? [];
  const alike = others.every(
    (other) =>
      other.constants.length === constants.length &&
      other.constants.every((constant, i) => constant.length === constants[i]?.length),
  );
  if (!alike) throw new EngineError('strips: weights are packed differently for different numbers of rows.');
  return constants;
}

function renumbered(count: number, first: number): BufferPlaces {
  const places: Partial<Record<BufferName, BufferPlace>> = {};
  for (let i = 0; i < count; i++) places[`constant${i}`] = { buffer: `constant${first + i}`, offset: 0 };
  return places;
}

/** Moves the rows that the strip before has left to the front. */
function keepRows(
  { kept, keptAt }: Strip,
  rowBytes: number,
  at: (offset: number) => BufferPlace,
): readonly KernelCall[] {
  if (kept === 0 || keptAt === 0) return [];
  const once = { count: 1, from: 0, to: 0 };
  const row = { count: rowBytes / 4, from: 1, to: 1 };
  return copyTiles(
    [once, { count: kept, from: rowBytes / 4, to: rowBytes / 4 }, row],
    at(keptAt * rowBytes),
    at(0),
  );
}

function callsOfPlan(plan: TaskPlan | undefined, places: BufferPlaces): readonly KernelCall[] {
  return (plan?.steps ?? []).flatMap((tiles) => renameTiles(tiles, places)).flatMap(callsOf);
}
