/**
 * The way back from patches (patches.ts) to the picture they were taken from: each input adds up what all patches
 * that hold it have in its place. Inputs gather, so that tiles never write to the same place.
 */
import { at, type Int, type VectorAssembler } from '../../assembler/vector-assembler.ts';
import type { BufferPlace } from '../plan/plan.ts';
import { further, type KernelSpec, type Tile } from '../plan/plan.ts';
import { gradientReaches, type Reach, type ReachBlock, reachBlocks, reachName } from '../plan/reach.ts';
import { type Span, spans, wantedTiles } from '../plan/split-work.ts';
import { countBySlot } from '../vector/emit.ts';
import type { ConvGradientSizes } from './conv-gradient-row.ts';
import { patchNumbers } from './patches.ts';

/** Sizes are in bytes unless said otherwise. */
interface FoldSpec {
  /** Taps in a row of the window. */
  readonly kernelWidth: number;
  /** Channels of a group. */
  readonly channels: number;
  readonly rows: ReachBlock;
  readonly columns: readonly ReachBlock[];
  /** From one patch, row of patches, pixel and row of pixels to the next. */
  readonly patch: number;
  readonly patchRow: number;
  readonly pixel: number;
  readonly row: number;
}

const SLOT = { patches: 1, to: 2, strips: 3 } as const;
/** Columns of a block, where stride does not ask for more. */
const COLUMNS = 2;

function foldKernel(spec: FoldSpec): KernelSpec {
  const columns = spec.columns.map(
    ({ reaches, repeat, start, advance }) => `${reachName(reaches)}*${repeat}@${start}+${advance}`,
  );
  const { kernelWidth, channels, rows, patch, patchRow, pixel, row } = spec;
  const strides = [patch, patchRow, pixel, row].join(',');
  return {
    name: `f32_fold_k${kernelWidth}c${channels}_s${strides}_r${reachName(rows.reaches)}+${rows.advance}_b${columns.join(',')}`,
    generate: (a) => emitStrips(a, spec),
  };
}

function emitStrips(a: VectorAssembler, spec: FoldSpec): void {
  const patches = a.slot(SLOT.patches);
  const to = a.slot(SLOT.to);
  countBySlot(a, SLOT.strips, () => {
    let read = 0;
    let written = 0;
    for (const { reaches, repeat, start, advance } of spec.columns) {
      a.addInt(patches, start * spec.patch - read);
      a.loop(repeat, () => {
        emitChannels(a, spec, reaches, patches, to);
        a.addInt(patches, advance * spec.patch);
        a.addInt(to, reaches.length * spec.pixel);
      });
      read = (start + repeat * advance) * spec.patch;
      written += repeat * reaches.length * spec.pixel;
    }
    a.addInt(patches, spec.rows.advance * spec.patchRow - read);
    a.addInt(to, spec.rows.reaches.length * spec.row - written);
  });
  a.freeInt(patches, to);
}

type Reaches = readonly (readonly Reach[])[];

/** A block for all channels; pointers are afterwards where they were. */
function emitChannels(a: VectorAssembler, spec: FoldSpec, columns: Reaches, patches: Int, to: Int): void {
  const vecBytes = a.lanes * 4;
  const whole = Math.floor(spec.channels / a.lanes);
  const rest = spec.channels - whole * a.lanes;
  a.loop(whole, () => {
    emitBlock(a, spec, columns, patches, to, a.lanes);
    a.addInt(patches, vecBytes);
    a.addInt(to, vecBytes);
  });
  if (rest > 0) emitBlock(a, spec, columns, patches, to, rest);
  a.subtractInt(patches, whole * vecBytes);
  a.subtractInt(to, whole * vecBytes);
}

function emitBlock(
  a: VectorAssembler,
  spec: FoldSpec,
  columns: Reaches,
  patches: Int,
  to: Int,
  count: number,
): void {
  for (const [row, vertical] of spec.rows.reaches.entries())
    for (const [column, horizontal] of columns.entries()) {
      const sum = a.newVec();
      const x = a.newVec();
      a.zero(sum);
      for (const i of vertical)
        for (const j of horizontal) {
          const tap = (i.tap * spec.kernelWidth + j.tap) * spec.channels * 4;
          const place = at(patches, i.source * spec.patchRow + j.source * spec.patch + tap);
          if (count < a.lanes) a.load(x, place, count);
          a.binary('add', sum, sum, count < a.lanes ? x : place);
        }
      a.store(at(to, row * spec.row + column * spec.pixel), sum, count);
      a.freeVec(sum, x);
    }
}

/** Adding costs about as much as so many flops a number. */
const FLOPS_A_NUMBER = 8;

/**
 * All of some pictures.
 * @param patches those of the first picture @param to NHWC, of all pictures
 */
export function foldTiles(
  sizes: ConvGradientSizes,
  images: Span,
  patches: BufferPlace,
  to: BufferPlace,
): readonly Tile[] {
  const { vertical, horizontal, groups, groupIn, taps, inChannels, height, width, outHeight, outWidth } =
    sizes;
  const patch = patchNumbers(sizes) * 4;
  const patchRow = outWidth * patch;
  const pixel = inChannels * 4;
  const row = width * pixel;
  const columns = reachBlocks(gradientReaches(horizontal), COLUMNS);
  const strips = reachBlocks(gradientReaches(vertical), 1);
  const count = images.end - images.first;
  const wanted = wantedTiles(count * outHeight * (patchRow / 4) * FLOPS_A_NUMBER);
  const most = Math.max(
    1,
    Math.floor((count * strips.reduce((sum, { repeat }) => sum + repeat, 0)) / wanted),
  );
  const tiles: Tile[] = [];
  for (const rows of strips) {
    const kernel = foldKernel({
      kernelWidth: horizontal.kernel,
      channels: groupIn,
      rows,
      columns,
      ...{ patch, patchRow, pixel, row },
    });
    for (let image = images.first; image < images.end; image++)
      for (const { first, end } of spans(rows.repeat, Math.ceil(rows.repeat / most))) {
        const from = (image - images.first) * outHeight + rows.start + first * rows.advance;
        const into = image * height + rows.first + first * rows.reaches.length;
        for (let group = 0; group < groups; group++)
          tiles.push({
            kernel,
            slots: [
              further(patches, from * patchRow + group * taps * groupIn * 4),
              further(to, into * row + group * groupIn * 4),
              end - first,
            ],
          });
      }
  }
  return tiles;
}
