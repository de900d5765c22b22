/**
 * Patches as rows of a matrix, less a first guess at their mean, with the sums of its columns. A row has, for each
 * group, for each tap, the channels of the group: the order in which they lie in memory.
 */
import { at, type Int, type VectorAssembler } from '../../assembler/vector-assembler.ts';
import type { KernelSpec, Tile } from '../plan/plan.ts';
import { type Span, spans } from '../plan/split-work.ts';
import { likePositions, type TapRange, tapsInside, windowStart } from '../plan/window-blocks.ts';
import { countBySlot, zeroed } from '../vector/emit.ts';
import { overRow } from '../vector/vector-span.ts';
import type { PatchLayout } from './patch-layout.ts';

const SLOT = { x: 1, rows: 2, sums: 3, pilot: 4, lines: 5 } as const;
const VECTORS = 4;
/** Tiles that the patches of a stretch of images become, about. */
const TILES = 16;

export interface PatchRowsTask {
  readonly layout: PatchLayout;
  readonly images: Span;
  /** Of the only image, the output rows meant; all of several. */
  readonly lines: Span;
  /** Bytes into scratch memory. */
  readonly rows: number;
  /** One row of sums for each tile, one after the other. */
  readonly sums: number;
  readonly pilot: number;
}

/** Output rows of one image whose windows are cut alike. */
interface Share {
  readonly image: number;
  readonly first: number;
  readonly end: number;
}

/** How many tiles, and so rows of sums, a task has. */
export function patchRowsCount(task: Pick<PatchRowsTask, 'layout' | 'images' | 'lines'>): number {
  return sharesOf(task).length;
}

function sharesOf({
  layout,
  images,
  lines,
}: Pick<PatchRowsTask, 'layout' | 'images' | 'lines'>): readonly Share[] {
  const parts = Math.ceil(TILES / (images.end - images.first));
  const most = Math.ceil((lines.end - lines.first) / parts);
  const result: Share[] = [];
  for (let image = images.first; image < images.end; image++)
    for (const run of likePositions(layout.vertical)) {
      const [first, end] = [Math.max(run.first, lines.first), Math.min(run.end, lines.end)];
      if (first >= end) continue;
      for (const span of spans(end - first, Math.ceil((end - first) / most)))
        result.push({ image, first: first + span.first, end: first + span.end });
    }
  return result;
}

export function patchRowsTiles(task: PatchRowsTask): readonly Tile[] {
  const { layout, images, rows, sums, pilot } = task;
  const { height, width, channels, outHeight, outWidth, vertical, taps } = layout;
  const row = channels * taps * 4;
  const before = (images.first * outHeight + task.lines.first) * outWidth;
  return sharesOf(task).map(({ image, first, end }, i): Tile => {
    const start = windowStart(vertical, first);
    const lines = { taps: tapsInside(vertical, first), hidden: Math.max(0, -start) };
    const position = (image * outHeight + first) * outWidth - before;
    return {
      kernel: rowsKernel(layout, lines),
      slots: [
        { buffer: 'input0', offset: (image * height + Math.max(0, start)) * width * channels * 4 },
        { buffer: 'scratch', offset: rows + position * row },
        { buffer: 'scratch', offset: sums + i * row },
        { buffer: 'scratch', offset: pilot },
        end - first,
      ],
    };
  });
}

/** Output rows whose windows are cut alike. */
interface Lines {
  readonly taps: TapRange;
  /** Rows of the first window that lie in the padding, where the record's input cannot point. */
  readonly hidden: number;
}

function rowsKernel(layout: PatchLayout, lines: Lines): KernelSpec {
  const { geometry, height, width, channels } = layout;
  const { kernel, stride, dilation, groups, padding } = geometry;
  const sizes = [height, width, channels, groups, ...kernel, ...stride, ...dilation, ...padding].join();
  return {
    name: `f32_patchrows_${sizes}_r${lines.taps.first}-${lines.taps.end}@${lines.hidden}`,
    generate: (a) => emitRows(a, layout, lines),
  };
}

interface Pointers {
  readonly x: Int;
  readonly rows: Int;
  readonly sums: Int;
  readonly pilot: Int;
}

function emitRows(a: VectorAssembler, layout: PatchLayout, lines: Lines): void {
  const { width, channels, taps, horizontal, geometry } = layout;
  const pointers: Pointers = {
    x: a.slot(SLOT.x),
    rows: a.slot(SLOT.rows),
    sums: a.slot(SLOT.sums),
    pilot: a.slot(SLOT.pilot),
  };
  const { x, rows, sums, pilot } = pointers;
  emitZeros(a, sums, channels * taps);
  countBySlot(a, SLOT.lines, () => {
    let read = 0;
    for (const { first, end } of likePositions(horizontal)) {
      const start = Math.max(0, windowStart(horizontal, first)) * channels * 4;
      a.addInt(x, start - read);
      a.loop(end - first, () => {
        emitPatch(a, layout, lines, first, pointers);
        a.addInt(x, geometry.stride[1] * channels * 4);
      });
      read = start + (end - first) * geometry.stride[1] * channels * 4;
    }
    a.addInt(x, geometry.stride[0] * width * channels * 4 - read);
  });
  a.freeInt(x, rows, sums, pilot);
}

function emitZeros(a: VectorAssembler, to: Int, count: number): void {
  const zero = zeroed(a);
  overRow(a, count, VECTORS, [to], (parts) => {
    for (const { offset, lanes } of parts) a.store(at(to, offset), zero, lanes);
  });
  a.freeVec(zero);
}

/** Numbers that lie next to each other in a row of patches, and in x too or all in the padding. */
interface Run {
  /** Bytes from x; none in the padding. */
  readonly from: number | undefined;
  /** Bytes within the row. */
  readonly to: number;
  readonly count: number;
}

/** One group's. */
function runsOf(layout: PatchLayout, lines: Lines, column: number): readonly Run[] {
  const { width, channels, groups, inner, taps, horizontal, geometry } = layout;
  const inside = tapsInside(horizontal, column);
  const hidden = Math.max(0, -windowStart(horizontal, column));
  const runs: Run[] = [];
  for (let t = 0; t < taps; t++) {
    const [i, j] = [Math.floor(t / geometry.kernel[1]), t % geometry.kernel[1]];
    const reads = i >= lines.taps.first && i < lines.taps.end && j >= inside.first && j < inside.end;
    const row = i * geometry.dilation[0] - lines.hidden;
    const from = reads ? (row * width + j * geometry.dilation[1] - hidden) * channels * 4 : undefined;
    const last = runs.at(-1);
    const next = last?.from === undefined ? undefined : last.from + last.count * 4;
    if (last && groups === 1 && next === from) runs[runs.length - 1] = { ...last, count: last.count + inner };
    else runs.push({ from, to: t * inner * 4, count: inner });
  }
  return runs;
}

/** One row; `rows` moves on to the next, all other pointers end where they began. */
function emitPatch(
  a: VectorAssembler,
  layout: PatchLayout,
  lines: Lines,
  column: number,
  pointers: Pointers,
): void {
  const { x, rows, sums, pilot } = pointers;
  const { channels, groups, inner, taps, length } = layout;
  const runs = runsOf(layout, lines, column);
  a.loop(groups, () => {
    for (const run of runs) emitRun(a, run, pointers);
    a.addInt(x, inner * 4);
    for (const pointer of [rows, sums, pilot]) a.addInt(pointer, length * 4);
  });
  a.subtractInt(x, channels * 4);
  for (const pointer of [sums, pilot]) a.subtractInt(pointer, channels * taps * 4);
}

function emitRun(a: VectorAssembler, { from, to, count }: Run, { x, rows, sums, pilot }: Pointers): void {
  const [value, sum] = [a.newVec(), a.newVec()];
  overRow(a, count, VECTORS, [x, rows, sums, pilot], (parts) => {
    for (const { offset, lanes } of parts) {
      const place = to + offset;
      if (from === undefined) a.zero(value);
      else a.load(value, at(x, from + offset), lanes);
      a.load(sum, at(pilot, place), lanes);
      a.binary('subtract', value, value, sum);
      a.store(at(rows, place), value, lanes);
      a.load(sum, at(sums, place), lanes);
      a.binary('add', sum, sum, value);
      a.store(at(sums, place), sum, lanes);
    }
  });
  a.freeVec(value, sum);
}
