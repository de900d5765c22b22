/**
 * Moments of depthwise patches, channels in the lanes (lone-sums.ts). Parts of the batch are summed apart and added up
 * in order.
 */
import { at, type VectorAssembler, type VectorTarget } from '../../assembler/vector-assembler.ts';
import type { KernelSpec, TaskPlan, Tile, TileStep } from '../plan/plan.ts';
import { alignUp, scratchAt, scratchLayout } from '../plan/scratch-layout.ts';
import { type Span, spans, wantedTiles } from '../plan/split-work.ts';
import { windowStart } from '../plan/window-blocks.ts';
import { blockAt, fromBlocks, type LaneBlocks, laneBlocks } from './lane-blocks.ts';
import { bandRows, type Shifts, shiftsOf } from './lone-shifts.ts';
import { type LoneSumSpec, loneSumKernel, loneSumSlots } from './lone-sums.ts';
import type { PatchLayout } from './patch-layout.ts';
import { pilotTile } from './pilot.ts';
import { productRow, sumRows } from './tap-pairs.ts';

/** Arithmetic is that of no matrix product: it takes longer by about this. */
const SLOWNESS = 2;
const MOST_VECTOR_PARTS = 4;
/** A slab should stay in the second cache. */
const SLAB_BYTES = 2 ** 17;

/** Output rows of an image that are taken at once, and the rows of a slab that they read. */
interface Strip {
  readonly rows: number;
  /** First row of the input that is read, and how many rows there are of the padding, the input, the padding. */
  readonly from: number;
  readonly top: number;
  readonly inside: number;
  readonly bottom: number;
}

function stripsOf(patches: PatchLayout, lanes: number): readonly Strip[] {
  const { outHeight, height, geometry, vertical } = patches;
  const reach = geometry.dilation[0] * (geometry.kernel[0] - 1) + 1;
  const rowBytes = slabWidth(patches) * lanes * 4;
  const most = Math.max(1, Math.floor((SLAB_BYTES / rowBytes - reach) / geometry.stride[0]) + 1);
  return spans(outHeight, Math.ceil(outHeight / most)).map(({ first, end }) => {
    const start = windowStart(vertical, first);
    const stop = windowStart(vertical, end - 1) + reach;
    const from = Math.min(height, Math.max(0, start));
    const to = Math.max(from, Math.min(height, stop));
    return { rows: end - first, from, top: from - start, inside: to - from, bottom: stop - to };
  });
}

/** Columns of the padded picture that windows read. */
function slabWidth({ outWidth, geometry }: PatchLayout): number {
  return (outWidth - 1) * geometry.stride[1] + geometry.dilation[1] * (geometry.kernel[1] - 1) + 1;
}

export function planLoneMoments(target: VectorTarget, patches: PatchLayout): TaskPlan {
  const { images, channels, taps, positions } = patches;
  const { lanes } = target;
  const scratch = scratchLayout();
  const vectors = Math.ceil(channels / lanes);
  const pilot = scratch.take(vectors * lanes);
  const flops = 2 * positions * channels * sumRows(taps);
  const wanted = wantedTiles(flops * SLOWNESS);
  const ranges = spans(vectors, Math.min(MOST_VECTOR_PARTS, wanted));
  const strips = stripsOf(patches, lanes);
  const parts = spans(images, Math.ceil(wanted / ranges.length / strips.length)).flatMap((part) =>
    strips.map((strip) => ({ images: part, strip })),
  );
  const sums = parts.map(() => laneBlocks(channels, lanes, sumRows(taps), scratch.take));
  const result = laneBlocks(channels, lanes, taps + taps * taps, scratch.take);
  const shifts = shiftsOf(patches, Math.min(...strips.map(({ rows }) => rows)));
  const slabNumbers = Math.max(...strips.map(({ top, inside, bottom }) => top + inside + bottom));
  const tiles = parts.flatMap((part, i) =>
    ranges.map((range): Tile => {
      const slab = scratch.take(slabNumbers * slabWidth(patches) * lanes);
      const bands = shifts ? scratch.take((range.end - range.first) * bandRows(shifts) * lanes) : slab;
      return sumTile(target, patches, {
        ...part,
        range,
        pilot,
        sums: sums[i] ?? result,
        slab,
        shifts,
        bands,
      });
    }),
  );
  const [first = result] = sums;
  const finish = spans(vectors, wanted).map(
    ({ first: vector, end }): Tile => ({
      kernel: finishKernel(patches, first, parts.length),
      slots: [
        blockAt(first, vector),
        scratchAt(pilot + vector * lanes * 4),
        blockAt(result, vector),
        end - vector,
      ],
    }),
  );
  const steps: readonly TileStep[] = [
    [pilotTile(patches, pilot)],
    tiles,
    finish,
    [
      ...fromBlocks(result, { buffer: 'output', offset: 0 }, taps, 0),
      ...fromBlocks(result, { buffer: 'output1', offset: 0 }, taps * taps, taps),
    ],
  ];
  return { constants: [], scratchBytes: scratch.bytes(), steps, flops };
}

interface SumPart {
  readonly images: Span;
  readonly strip: Strip;
  readonly range: Span;
  readonly pilot: number;
  readonly sums: LaneBlocks;
  readonly slab: number;
  readonly shifts: Shifts | undefined;
  readonly bands: number;
}

function sumTile(
  target: VectorTarget,
  patches: PatchLayout,
  { images, strip, range, pilot, sums, slab, shifts, bands }: SumPart,
): Tile {
  const { geometry, height, width, channels } = patches;
  const columns = slabWidth(patches);
  const left = geometry.padding[1];
  const spec: LoneSumSpec = {
    patches,
    left,
    inside: Math.min(width, columns - left),
    width: columns,
    vectors: range.end - range.first,
    lastLanes: Math.min(target.lanes, channels - (range.end - 1) * target.lanes),
    shifts,
  };
  const channel = range.first * target.lanes * 4;
  return {
    kernel: loneSumKernel(spec),
    slots: loneSumSlots({
      x: { buffer: 'input0', offset: (images.first * height + strip.from) * width * channels * 4 + channel },
      pilot: scratchAt(pilot + channel),
      sums: blockAt(sums, range.first),
      slab: scratchAt(slab),
      images: images.end - images.first,
      top: strip.top * columns,
      inside: strip.inside,
      bottom: strip.bottom * columns,
      rows: strip.rows,
      bands: scratchAt(bands),
    }),
  };
}

/** Adds up the parts: mean_t = pilot + Σd_t/n; covariance_tu = Σ d_t·d_u/n − Σd_t/n · Σd_u/n. */
function finishKernel({ taps, positions }: PatchLayout, sums: LaneBlocks, parts: number): KernelSpec {
  const partBytes = alignUp(sums.vectors * sums.rows * sums.lanes * 4);
  return {
    name: `f32_lonemoments_finish_t${taps}n${positions}p${parts}_s${partBytes}`,
    generate: (a) => emitFinish(a, taps, positions, { parts, partBytes }),
  };
}

function emitFinish(
  a: VectorAssembler,
  taps: number,
  positions: number,
  { parts, partBytes }: { readonly parts: number; readonly partBytes: number },
): void {
  const [sums, pilot, to, vectors] = [a.slot(1), a.slot(2), a.slot(3), a.slot(4)];
  const [from, share, sum, own] = [a.newInt(), a.newVec(), a.newVec(), a.newVec()];
  const vecBytes = a.lanes * 4;
  const rows = sumRows(taps);
  a.constant(share, 1 / positions);
  a.loop(vectors, () => {
    a.loop(rows, () => {
      a.zero(sum);
      a.moveInt(from, sums);
      a.loop(parts, () => {
        a.binary('add', sum, sum, at(from));
        a.addInt(from, partBytes);
      });
      a.binary('multiply', sum, sum, share);
      a.store(at(sums), sum);
      a.addInt(sums, vecBytes);
    });
    a.subtractInt(sums, rows * vecBytes);
    a.load(own, at(pilot));
    for (let t = 0; t < taps; t++) {
      a.binary('add', sum, own, at(sums, t * vecBytes));
      a.store(at(to, t * vecBytes), sum);
    }
    for (let t = 0; t < taps; t++) {
      a.load(own, at(sums, t * vecBytes));
      a.unary('negate', own, own);
      for (let u = t; u < taps; u++) {
        a.load(sum, at(sums, productRow(taps, t, u) * vecBytes));
        a.fma(sum, own, at(sums, u * vecBytes));
        a.store(at(to, (taps + t * taps + u) * vecBytes), sum);
        if (u > t) a.store(at(to, (taps + u * taps + t) * vecBytes), sum);
      }
    }
    a.addInt(sums, rows * vecBytes);
    a.addInt(pilot, vecBytes);
    a.addInt(to, (taps + taps * taps) * vecBytes);
  });
  a.freeVec(share, sum, own);
  a.freeInt(sums, pilot, to, vectors, from);
}
