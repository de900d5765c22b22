/**
 * Moments of depthwise patches: channels in the lanes. A slab holds one vector of channels of a padded picture, less
 * the pilot; sums of products of all pairs of taps stay in registers, as many at a time as fit, while windows walk
 * over it. Parts of the batch are summed apart and added up in order.
 *
 *     slab   [rows][columns][lanes]
 *     sums   for each part, for each vector of channels: Σ d_t of all taps, then Σ d_t·d_u, u ≥ t, d = x − pilot
 */
import {
  type Address,
  at,
  type Int,
  type Vec,
  type VectorAssembler,
  type VectorTarget,
} from '../../assembler/vector-assembler.ts';
import type { KernelSpec, TaskPlan, Tile, TileStep } from '../plan.ts';
import { type Span, spans, wantedTiles } from '../split-work.ts';
import { windowStart } from '../window-blocks.ts';
import { scratchAt, scratchLayout } from './compose.ts';
import { blockAt, fromBlocks, type LaneBlocks, laneBlocks } from './lane-blocks.ts';
import type { PatchLayout } from './patch-layout.ts';
import { pilotTile } from './pilot.ts';

/** Products t·u for one t and some u ≥ t. */
interface TapProducts {
  readonly tap: number;
  readonly others: readonly number[];
  /** The tap's own sum is taken too. */
  readonly sums: boolean;
}

/** What is summed in one walk over the positions. */
type Pass = readonly TapProducts[];

export const sumRows = (taps: number): number => taps + (taps * (taps + 1)) / 2;

/** Row of Σ d_t·d_u among the sums, t ≤ u. */
export function productRow(taps: number, t: number, u: number): number {
  return taps + t * taps - (t * (t - 1)) / 2 + (u - t);
}

/** V8 has fewer registers to give than WebAssembly has locals; AVX2 needs one for parts of vectors. */
function registersOf(target: VectorTarget): number {
  return target.name === 'avx512' ? target.vectorRegisters : 15;
}

/** As few walks as registers allow: each holds some taps, and one tap goes by. */
function passesOf(taps: number, registers: number): readonly Pass[] {
  const most = registers - 3;
  const all = Array.from({ length: taps }, (_, tap): TapProducts[] =>
    Array.from({ length: Math.ceil((taps - tap) / most) }, (__, part) => ({
      tap,
      others: Array.from({ length: taps - tap }, (___, i) => tap + i).slice(part * most, (part + 1) * most),
      sums: part === 0,
    })),
  ).flat();
  const passes: TapProducts[][] = [];
  const used = (pass: Pass): number =>
    pass.reduce((sum, { others, sums }) => sum + 1 + others.length + (sums ? 1 : 0), 1);
  for (const each of all) {
    const last = passes.at(-1);
    if (last && used([...last, each]) <= registers) last.push(each);
    else passes.push([each]);
  }
  return passes;
}

const SLOT = { x: 1, pilot: 2, sums: 3, slab: 4, images: 5, top: 6, inside: 7, bottom: 8, rows: 9 } as const;

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
  const slabNumbers = Math.max(...strips.map(({ top, inside, bottom }) => top + inside + bottom));
  const tiles = parts.flatMap((part, i) =>
    ranges.map((range): Tile => {
      const slab = scratch.take(slabNumbers * slabWidth(patches) * lanes);
      return sumTile(target, patches, { ...part, range, pilot, sums: sums[i] ?? result, slab });
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

interface SumSpec {
  readonly patches: PatchLayout;
  readonly passes: readonly Pass[];
  /** Columns of the slab: of the padding, of the input, and all. */
  readonly left: number;
  readonly inside: number;
  readonly width: number;
  /** Vectors of channels, and lanes of the last one. */
  readonly vectors: number;
  readonly lastLanes: number;
}

interface SumPart {
  readonly images: Span;
  readonly strip: Strip;
  readonly range: Span;
  readonly pilot: number;
  readonly sums: LaneBlocks;
  readonly slab: number;
}

function sumTile(
  target: VectorTarget,
  patches: PatchLayout,
  { images, strip, range, pilot, sums, slab }: SumPart,
): Tile {
  const { geometry, height, width, channels, taps } = patches;
  const columns = slabWidth(patches);
  const left = geometry.padding[1];
  const spec: SumSpec = {
    patches,
    passes: passesOf(taps, registersOf(target)),
    left,
    inside: Math.min(width, columns - left),
    width: columns,
    vectors: range.end - range.first,
    lastLanes: Math.min(target.lanes, channels - (range.end - 1) * target.lanes),
  };
  const channel = range.first * target.lanes * 4;
  return {
    kernel: sumKernel(spec),
    slots: [
      { buffer: 'input0', offset: (images.first * height + strip.from) * width * channels * 4 + channel },
      scratchAt(pilot + channel),
      blockAt(sums, range.first),
      scratchAt(slab),
      images.end - images.first,
      strip.top * columns,
      strip.inside,
      strip.bottom * columns,
      strip.rows,
    ],
  };
}

function sumKernel(spec: SumSpec): KernelSpec {
  const { patches, left, inside, width, vectors, lastLanes } = spec;
  const { geometry, channels, outWidth } = patches;
  const { kernel, stride, dilation } = geometry;
  const sizes = [patches.height, patches.width, channels, outWidth, ...kernel, ...stride, ...dilation].join();
  return {
    name: `f32_lonemoments_${sizes}_v${vectors}.${lastLanes}_w${left}+${inside}of${width}`,
    generate: (a) => emitSums(a, spec),
  };
}

function emitSums(a: VectorAssembler, spec: SumSpec): void {
  const { taps, height, width, channels } = spec.patches;
  const [x, pilot, sums] = [a.slot(SLOT.x), a.slot(SLOT.pilot), a.slot(SLOT.sums)];
  const vecBytes = a.lanes * 4;
  const blockBytes = sumRows(taps) * vecBytes;
  emitZeros(a, sums, spec.vectors * sumRows(taps));
  const images = a.slot(SLOT.images);
  const ofVector = (count: number): void => {
    emitSlab(a, spec, x, pilot, count);
    for (const pass of spec.passes) emitPass(a, spec, pass, sums);
    a.addInt(x, vecBytes);
    a.addInt(pilot, vecBytes);
    a.addInt(sums, blockBytes);
  };
  const whole = spec.lastLanes === a.lanes ? spec.vectors : spec.vectors - 1;
  a.loop(images, () => {
    a.loop(whole, () => ofVector(a.lanes));
    if (whole < spec.vectors) ofVector(spec.lastLanes);
    a.addInt(x, height * width * channels * 4 - spec.vectors * vecBytes);
    a.subtractInt(pilot, spec.vectors * vecBytes);
    a.subtractInt(sums, spec.vectors * blockBytes);
  });
  a.freeInt(x, pilot, sums, images);
}

function emitZeros(a: VectorAssembler, to: Int, vectors: number): void {
  const zero = a.newVec();
  a.zero(zero);
  a.loop(vectors, () => {
    a.store(at(to), zero);
    a.addInt(to, a.lanes * 4);
  });
  a.subtractInt(to, vectors * a.lanes * 4);
  a.freeVec(zero);
}

const PIXELS_A_TURN = 4;

/** One vector of channels of the padded picture, less the pilot: padding is 0, so it becomes −pilot. */
function emitSlab(
  a: VectorAssembler,
  { patches, left, inside, width }: SumSpec,
  x: Int,
  pilot: Int,
  count: number,
): void {
  const [mean, padding, value] = [a.newVec(), a.newVec(), a.newVec()];
  const [from, to, rows] = [a.newInt(), a.slot(SLOT.slab), a.slot(SLOT.inside)];
  const [vecBytes, pixel] = [a.lanes * 4, patches.channels * 4];
  a.load(mean, at(pilot));
  a.unary('negate', padding, mean);
  a.moveInt(from, x);
  const pad = (cells: number | Int): void =>
    a.loop(cells, () => {
      a.store(at(to), padding);
      a.addInt(to, vecBytes);
    });
  const copy = (pixels: number): void => {
    for (let i = 0; i < pixels; i++) {
      a.load(value, at(from, i * pixel), count);
      a.binary('subtract', value, value, mean);
      a.store(at(to, i * vecBytes), value);
    }
    a.addInt(from, pixels * pixel);
    a.addInt(to, pixels * vecBytes);
  };
  const padRows = (slot: number): void => {
    const cells = a.slot(slot);
    pad(cells);
    a.freeInt(cells);
  };
  padRows(SLOT.top);
  a.loop(rows, () => {
    pad(left);
    a.loop(Math.floor(inside / PIXELS_A_TURN), () => copy(PIXELS_A_TURN));
    if (inside % PIXELS_A_TURN > 0) copy(inside % PIXELS_A_TURN);
    pad(width - left - inside);
    a.addInt(from, (patches.width - inside) * pixel);
  });
  padRows(SLOT.bottom);
  a.freeVec(mean, padding, value);
  a.freeInt(from, to, rows);
}

/** One walk over the positions of a slab. */
function emitPass(a: VectorAssembler, spec: SumSpec, pass: Pass, to: Int): void {
  const { taps, outWidth, geometry } = spec.patches;
  const vecBytes = a.lanes * 4;
  const sums = new Map<number, Vec>();
  for (const { tap, others, sums: own } of pass) {
    const rows = others.map((other) => productRow(taps, tap, other));
    for (const row of own ? [tap, ...rows] : rows) {
      const vec = a.newVec();
      a.zero(vec);
      sums.set(row, vec);
    }
  }
  const [slab, rows] = [a.slot(SLOT.slab), a.slot(SLOT.rows)];
  a.loop(rows, () => {
    a.loop(outWidth, () => {
      emitPosition(a, spec, pass, slab, sums);
      a.addInt(slab, geometry.stride[1] * vecBytes);
    });
    a.addInt(slab, (geometry.stride[0] * spec.width - outWidth * geometry.stride[1]) * vecBytes);
  });
  a.freeInt(slab, rows);
  for (const [row, vec] of sums) {
    a.binary('add', vec, vec, at(to, row * vecBytes));
    a.store(at(to, row * vecBytes), vec);
    a.freeVec(vec);
  }
}

function emitPosition(
  a: VectorAssembler,
  { patches: { taps, geometry }, width }: SumSpec,
  pass: Pass,
  slab: Int,
  sums: ReadonlyMap<number, Vec>,
): void {
  const place = (tap: number): Address => {
    const [i, j] = [Math.floor(tap / geometry.kernel[1]), tap % geometry.kernel[1]];
    return at(slab, (i * geometry.dilation[0] * width + j * geometry.dilation[1]) * a.lanes * 4);
  };
  const load = (tap: number): Vec => {
    const value = a.newVec();
    a.load(value, place(tap));
    return value;
  };
  const held = new Map(pass.map(({ tap }) => [tap, load(tap)]));
  for (const { tap, sums: own } of pass) {
    const [value, sum] = [held.get(tap), sums.get(tap)];
    if (own && value !== undefined && sum !== undefined) a.binary('add', sum, sum, value);
  }
  for (const other of new Set(pass.flatMap(({ others }) => others))) {
    const value = held.get(other) ?? load(other);
    for (const { tap, others } of pass) {
      const [own, sum] = [held.get(tap), sums.get(productRow(taps, tap, other))];
      if (others.includes(other) && own !== undefined && sum !== undefined) a.fma(sum, own, value);
    }
    if (!held.has(other)) a.freeVec(value);
  }
  a.freeVec(...held.values());
}

/** Adds up the parts: mean_t = pilot + Σd_t/n; covariance_tu = Σ d_t·d_u/n − Σd_t/n · Σd_u/n. */
function finishKernel({ taps, positions }: PatchLayout, sums: LaneBlocks, parts: number): KernelSpec {
  const partBytes = Math.ceil((sums.vectors * sums.rows * sums.lanes * 4) / 64) * 64;
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
