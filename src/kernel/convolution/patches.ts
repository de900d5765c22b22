/**
 * The patches that a convolution reads, laid out in memory as the rows of a matrix: for each output position
 * [groups][kH·kW][C/groups], padding as zeros. What taps of one row have next to each other is copied in one go.
 */
import { at, type Int, type VectorAssembler } from '../../assembler/vector-assembler.ts';
import type { BufferPlace } from '../plan/plan.ts';
import { further, type KernelSpec, type Tile } from '../plan/plan.ts';
import { type Reach, type ReachBlock, reachBlocks, reachName, windowReaches } from '../plan/reach.ts';
import { type Span, spans, wantedTiles } from '../plan/split-work.ts';
import { countBySlot } from '../vector/emit.ts';
import { overRow, partAt, partsOf } from '../vector/vector-span.ts';
import type { ConvGradientSizes } from './conv-gradient-row.ts';

/** Sizes count numbers unless said otherwise. */
interface PatchSpec {
  readonly kernel: readonly [height: number, width: number];
  readonly groups: number;
  readonly groupIn: number;
  /** What a row of positions reads along the vertical axis. */
  readonly row: readonly Reach[];
  /** How many rows further the next row of positions reads. */
  readonly advance: number;
  readonly columns: readonly ReachBlock[];
  /** From one row of x to the next. */
  readonly inputRow: number;
  /** Neighbouring taps lie next to each other in x as in a patch. */
  readonly joined: boolean;
}

const SLOT = { x: 1, to: 2, rows: 3 } as const;
/** Positions in a block. */
const COLUMNS = 4;
/** Vectors that are copied without a loop. */
const UNROLL = 8;

function patchKernel(spec: PatchSpec): KernelSpec {
  const columns = spec.columns.map(
    ({ reaches, repeat, start, advance }) => `${reachName(reaches)}*${repeat}@${start}+${advance}`,
  );
  const { kernel, groups, groupIn, row, advance, inputRow, joined } = spec;
  return {
    name: `f32_patches${joined ? '_joined' : ''}_k${kernel.join('x')}g${groups}c${groupIn}_s${inputRow}_r${reachName([row])}+${advance}_b${columns.join(',')}`,
    generate: (a) => emitRows(a, spec),
  };
}

function emitRows(a: VectorAssembler, spec: PatchSpec): void {
  const x = a.slot(SLOT.x);
  const to = a.slot(SLOT.to);
  const pixel = spec.groups * spec.groupIn * 4;
  const patch = spec.kernel[0] * spec.kernel[1] * pixel;
  countBySlot(a, SLOT.rows, () => {
    let read = 0;
    for (const { reaches, repeat, start, advance } of spec.columns) {
      a.addInt(x, start * pixel - read);
      a.loop(repeat, () => {
        for (const column of reaches) {
          emitPatch(a, spec, column, x, to);
          a.addInt(to, patch);
        }
        a.addInt(x, advance * pixel);
      });
      read = (start + repeat * advance) * pixel;
    }
    a.addInt(x, spec.advance * spec.inputRow * 4 - read);
  });
  a.freeInt(x, to);
}

/** Numbers in a row of a patch: from x, or zeros where `from` is undefined. Bytes. */
interface Run {
  readonly from: number | undefined;
  readonly to: number;
  readonly count: number;
}

/** One group's runs; the next group's lie further on by a constant. */
function runsOf(spec: PatchSpec, column: readonly Reach[]): readonly Run[] {
  const { kernel, groupIn, inputRow } = spec;
  const pixel = spec.groups * groupIn;
  const runs: Run[] = [];
  for (let tap = 0; tap < kernel[0] * kernel[1]; tap++) {
    const i = spec.row.find((reach) => reach.tap === Math.floor(tap / kernel[1]));
    const j = column.find((reach) => reach.tap === tap % kernel[1]);
    const from = i && j ? (i.source * inputRow + j.source * pixel) * 4 : undefined;
    const last = runs.at(-1);
    const continued =
      from === undefined
        ? last?.from === undefined
        : spec.joined && last?.from !== undefined && last.from + last.count * 4 === from;
    if (last && continued) runs[runs.length - 1] = { ...last, count: last.count + groupIn };
    else runs.push({ from, to: tap * groupIn * 4, count: groupIn });
  }
  return runs;
}

/** Pointers are afterwards where they were. */
function emitPatch(a: VectorAssembler, spec: PatchSpec, column: readonly Reach[], x: Int, to: Int): void {
  const runs = runsOf(spec, column);
  const patch = spec.kernel[0] * spec.kernel[1] * spec.groupIn * 4;
  a.loop(spec.groups, () => {
    for (const run of runs) emitRun(a, run, x, to);
    if (spec.groups === 1) return;
    a.addInt(x, spec.groupIn * 4);
    a.addInt(to, patch);
  });
  if (spec.groups === 1) return;
  a.subtractInt(x, spec.groups * spec.groupIn * 4);
  a.subtractInt(to, spec.groups * patch);
}

function emitRun(a: VectorAssembler, run: Run, x: Int, to: Int): void {
  const from = run.from ?? 0;
  const vec = a.newVec();
  if (run.from === undefined) a.zero(vec);
  if (run.count <= UNROLL * a.lanes) {
    for (const { offset, lanes } of partsOf(run.count, a.lanes)) {
      if (run.from !== undefined) a.load(vec, at(x, from + offset), lanes);
      a.store(at(to, run.to + offset), vec, lanes);
    }
  } else {
    a.addInt(x, from);
    a.addInt(to, run.to);
    overRow(a, run.count, UNROLL, [x, to], (parts) => {
      for (const part of parts) {
        if (run.from !== undefined) a.load(vec, partAt(x, part), part.lanes);
        a.store(partAt(to, part), vec, part.lanes);
      }
    });
    a.subtractInt(x, from);
    a.subtractInt(to, run.to);
  }
  a.freeVec(vec);
}

/** Numbers in one position's patch. */
export function patchNumbers({ taps, inChannels }: ConvGradientSizes): number {
  return taps * inChannels;
}

/** True where a position's patch is the pixel itself, so that x is the matrix of patches. */
export function patchesAreInput({ taps, vertical, horizontal }: ConvGradientSizes): boolean {
  return (
    taps === 1 &&
    [vertical, horizontal].every(
      ({ stride, padding, size, outSize }) => stride === 1 && padding === 0 && size === outSize,
    )
  );
}

/** Copying costs about as much as so many flops a number. */
const FLOPS_A_NUMBER = 8;

/**
 * Patches of some lines, which are rows of output positions numbered through all pictures.
 * @param x NHWC @param to where the first line's patches go
 */
export function patchTiles(
  sizes: ConvGradientSizes,
  lines: Span,
  x: BufferPlace,
  to: BufferPlace,
): readonly Tile[] {
  const { vertical, horizontal, groups, groupIn, outHeight, outWidth, height } = sizes;
  const inputRow = sizes.width * sizes.inChannels;
  const kinds = reachBlocks(windowReaches(vertical), 1);
  const columns = reachBlocks(windowReaches(horizontal), COLUMNS);
  const lineBytes = outWidth * patchNumbers(sizes) * 4;
  const most = Math.ceil(
    (lines.end - lines.first) / wantedTiles(((lines.end - lines.first) * lineBytes * FLOPS_A_NUMBER) / 4),
  );
  const tiles: Tile[] = [];
  for (let image = Math.floor(lines.first / outHeight); image * outHeight < lines.end; image++) {
    const within = { first: lines.first - image * outHeight, end: lines.end - image * outHeight };
    for (const kind of kinds) {
      const first = Math.max(0, within.first - kind.first);
      const end = Math.min(kind.repeat, within.end - kind.first);
      if (first >= end) continue;
      const kernel = patchKernel({
        kernel: [vertical.kernel, horizontal.kernel],
        groups,
        groupIn,
        row: kind.reaches[0] ?? [],
        advance: kind.advance,
        columns,
        inputRow,
        joined: groups === 1 && horizontal.dilation === 1,
      });
      for (const span of spans(end - first, Math.ceil((end - first) / most))) {
        const row = first + span.first;
        const inRow = image * height + kind.start + row * kind.advance;
        const line = image * outHeight + kind.first + row - lines.first;
        tiles.push({
          kernel,
          slots: [further(x, inRow * inputRow * 4), further(to, line * lineBytes), span.end - span.first],
        });
      }
    }
  }
  return tiles;
}
