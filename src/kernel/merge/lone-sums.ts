/**
 * The code of depthwise moments. A slab holds one vector of channels of a padded picture, less the pilot; sums of
 * products of all pairs of taps stay in registers, as many at a time as fit, while windows walk over it.
 *
 *     slab   [rows][columns][lanes]
 *     sums   for each vector of channels: Σ d_t of all taps, then Σ d_t·d_u, u ≥ t, d = x − pilot
 */

import {
  type Address,
  at,
  type Int,
  type Vec,
  type VectorAssembler,
  type VectorTarget,
} from '../../assembler/vector-assembler.ts';
import type { KernelSpec, Slot } from '../plan/plan.ts';
import { zeroed } from '../vector/emit.ts';
import { bandRows, emitBandSums, emitTapSums, type Shifts } from './lone-shifts.ts';
import type { PatchLayout } from './patch-layout.ts';
import { productRow, sumRows } from './tap-pairs.ts';

/** Products t·u for one t and some u ≥ t. */
interface TapProducts {
  readonly tap: number;
  readonly others: readonly number[];
  /** The tap's own sum is taken too. */
  readonly sums: boolean;
}

/** What is summed in one walk over the positions. */
type Pass = readonly TapProducts[];

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

/** Sizes of a slab and of what it is made from. */
export interface LoneSumSpec {
  readonly patches: PatchLayout;
  /** Columns of the slab: of the padding, of the input, and all. */
  readonly left: number;
  readonly inside: number;
  readonly width: number;
  /** Vectors of channels, and lanes of the last one. */
  readonly vectors: number;
  readonly lastLanes: number;
  /** How pairs of taps share products; absent where each pair has its own. */
  readonly shifts: Shifts | undefined;
}

const SLOT = {
  ...{ x: 1, pilot: 2, sums: 3, slab: 4, images: 5, top: 6, inside: 7, bottom: 8, rows: 9, bands: 10 },
} as const;

export interface LoneSumRecord {
  /** The first row that the strip reads, of the first picture and vector of channels. */
  readonly x: Slot;
  readonly pilot: Slot;
  readonly sums: Slot;
  readonly slab: Slot;
  readonly images: number;
  /** Pixels of the padding before the strip's rows of the input, those rows, and pixels of the padding after them. */
  readonly top: number;
  readonly inside: number;
  readonly bottom: number;
  /** Output rows. */
  readonly rows: number;
  /** Blocks of band sums for the vectors, where products are shared. */
  readonly bands: Slot;
}

export function loneSumSlots(record: LoneSumRecord): readonly Slot[] {
  const { x, pilot, sums, slab, images, top, inside, bottom, rows, bands } = record;
  return [x, pilot, sums, slab, images, top, inside, bottom, rows, bands];
}

export function loneSumKernel(spec: LoneSumSpec): KernelSpec {
  const { patches, left, inside, width, vectors, lastLanes, shifts } = spec;
  const { geometry, channels, outWidth } = patches;
  const { kernel, stride, dilation } = geometry;
  const sizes = [patches.height, patches.width, channels, outWidth, ...kernel, ...stride, ...dilation].join();
  return {
    name: `f32_lonemoments_${sizes}_v${vectors}.${lastLanes}_w${left}+${inside}of${width}${shifts ? '_shifts' : ''}`,
    generate: (a) => emitSums(a, spec),
  };
}

function emitSums(a: VectorAssembler, spec: LoneSumSpec): void {
  const { patches, shifts } = spec;
  const { taps, height, width, channels } = patches;
  const [x, pilot, sums] = [a.slot(SLOT.x), a.slot(SLOT.pilot), a.slot(shifts ? SLOT.bands : SLOT.sums)];
  const vecBytes = a.lanes * 4;
  const rows = shifts ? bandRows(shifts) : sumRows(taps);
  emitZeros(a, sums, spec.vectors * rows);
  const images = a.slot(SLOT.images);
  const ofVector = (count: number): void => {
    emitSlab(a, spec, x, pilot, count);
    emitProducts(a, spec, sums);
    a.addInt(x, vecBytes);
    a.addInt(pilot, vecBytes);
    a.addInt(sums, rows * vecBytes);
  };
  const whole = spec.lastLanes === a.lanes ? spec.vectors : spec.vectors - 1;
  a.loop(images, () => {
    a.loop(whole, () => ofVector(a.lanes));
    if (whole < spec.vectors) ofVector(spec.lastLanes);
    a.addInt(x, height * width * channels * 4 - spec.vectors * vecBytes);
    a.subtractInt(pilot, spec.vectors * vecBytes);
    a.subtractInt(sums, spec.vectors * rows * vecBytes);
  });
  a.freeInt(x, pilot, images);
  if (shifts) {
    const to = a.slot(SLOT.sums);
    a.loop(spec.vectors, () => {
      emitTapSums(a, shifts, sums, to);
      a.addInt(sums, rows * vecBytes);
      a.addInt(to, sumRows(taps) * vecBytes);
    });
    a.freeInt(to);
  }
  a.freeInt(sums);
}

/** Adds up what a slab holds. */
function emitProducts(a: VectorAssembler, spec: LoneSumSpec, to: Int): void {
  const { patches, shifts, width } = spec;
  const registers = registersOf(a.target);
  if (shifts === undefined) {
    for (const pass of passesOf(patches.taps, registers)) emitPass(a, spec, pass, to);
    return;
  }
  const [slab, rows] = [a.slot(SLOT.slab), a.slot(SLOT.rows)];
  // One register for the number that is at hand, one for an operand that no instruction reads from memory.
  const walk = { slab, rows, to, rowBytes: width * a.lanes * 4, registers: registers - 2 };
  emitBandSums(a, shifts, { ...walk, columns: patches.outWidth });
  a.freeInt(slab, rows);
}

function emitZeros(a: VectorAssembler, to: Int, vectors: number): void {
  const zero = zeroed(a);
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
  { patches, left, inside, width }: LoneSumSpec,
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
function emitPass(a: VectorAssembler, spec: LoneSumSpec, pass: Pass, to: Int): void {
  const { taps, outWidth, geometry } = spec.patches;
  const vecBytes = a.lanes * 4;
  const sums = new Map<number, Vec>();
  for (const { tap, others, sums: own } of pass) {
    const rows = others.map((other) => productRow(taps, tap, other));
    for (const row of own ? [tap, ...rows] : rows) {
      const vec = zeroed(a);
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
  { patches: { taps, geometry }, width }: LoneSumSpec,
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
