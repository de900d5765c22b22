/**
 * Moments of depthwise patches: channels in the lanes, products of all pairs of taps in registers, as many at a
 * time as fit. Parts of the batch are summed apart and added up in order.
 *
 *     sums   for each part, for each vector of channels: Σ d_t of all taps, then Σ d_t·d_u, u ≥ t, d = x − pilot
 */
import {
  at,
  type Int,
  type Vec,
  type VectorAssembler,
  type VectorTarget,
} from '../../assembler/vector-assembler.ts';
import type { KernelSpec, TaskPlan, Tile, TileStep } from '../plan.ts';
import { type Reach, type ReachBlock, reachBlocks, reachName, windowReaches } from '../reach.ts';
import { type Span, spans, wantedTiles } from '../split-work.ts';
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

/** As few walks as registers allow: each holds some taps, the pilot, and one tap that goes by. */
function passesOf(taps: number, registers: number): readonly Pass[] {
  const most = registers - 4;
  const all = Array.from({ length: taps }, (_, tap): TapProducts[] =>
    Array.from({ length: Math.ceil((taps - tap) / most) }, (__, part) => ({
      tap,
      others: Array.from({ length: taps - tap }, (___, i) => tap + i).slice(part * most, (part + 1) * most),
      sums: part === 0,
    })),
  ).flat();
  const passes: TapProducts[][] = [];
  const used = (pass: Pass): number =>
    pass.reduce((sum, { others, sums }) => sum + 1 + others.length + (sums ? 1 : 0), 2);
  for (const each of all) {
    const last = passes.at(-1);
    if (last && used([...last, each]) <= registers) last.push(each);
    else passes.push([each]);
  }
  return passes;
}

const SLOT = { x: 1, pilot: 2, sums: 3, images: 4 } as const;

/** Arithmetic is that of no matrix product: it takes longer by about this. */
const SLOWNESS = 2;
const MOST_VECTOR_PARTS = 4;

export function planLoneMoments(target: VectorTarget, patches: PatchLayout): TaskPlan {
  const { images, channels, taps, positions } = patches;
  const { lanes } = target;
  const scratch = scratchLayout();
  const vectors = Math.ceil(channels / lanes);
  const pilot = scratch.take(vectors * lanes);
  const flops = 2 * positions * channels * sumRows(taps);
  const wanted = wantedTiles(flops * SLOWNESS);
  const ranges = spans(vectors, Math.min(MOST_VECTOR_PARTS, wanted));
  const parts = spans(images, Math.ceil(wanted / ranges.length));
  const sums = parts.map(() => laneBlocks(channels, lanes, sumRows(taps), scratch.take));
  const result = laneBlocks(channels, lanes, taps + taps * taps, scratch.take);
  const tiles = parts.flatMap((part, i) =>
    ranges.map((range) => sumTile(target, patches, part, range, pilot, sums[i] ?? result)),
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

/** Sizes are in bytes unless said otherwise. */
interface SumSpec {
  readonly taps: number;
  readonly kernelWidth: number;
  readonly passes: readonly Pass[];
  readonly rows: readonly ReachBlock[];
  readonly columns: readonly ReachBlock[];
  readonly pixel: number;
  readonly inputRow: number;
  readonly image: number;
  /** Vectors of channels, and lanes of the last one. */
  readonly vectors: number;
  readonly lastLanes: number;
}

function sumTile(
  target: VectorTarget,
  { geometry, height, width, channels, taps, vertical, horizontal }: PatchLayout,
  part: Span,
  range: Span,
  pilot: number,
  sums: LaneBlocks,
): Tile {
  const pixel = channels * 4;
  const spec: SumSpec = {
    taps,
    kernelWidth: geometry.kernel[1],
    passes: passesOf(taps, registersOf(target)),
    rows: reachBlocks(windowReaches(vertical), 1),
    columns: reachBlocks(windowReaches(horizontal), 1),
    pixel,
    inputRow: width * pixel,
    image: height * width * pixel,
    vectors: range.end - range.first,
    lastLanes: Math.min(target.lanes, channels - (range.end - 1) * target.lanes),
  };
  const channel = range.first * target.lanes * 4;
  return {
    kernel: sumKernel(spec),
    slots: [
      { buffer: 'input0', offset: part.first * spec.image + channel },
      scratchAt(pilot + channel),
      blockAt(sums, range.first),
      part.end - part.first,
    ],
  };
}

function sumKernel(spec: SumSpec): KernelSpec {
  const { taps, kernelWidth, rows, columns, pixel, inputRow, image, vectors, lastLanes } = spec;
  const blocks = [rows, columns].map((each) =>
    each
      .map(({ reaches, repeat, start, advance }) => `${reachName(reaches)}*${repeat}@${start}+${advance}`)
      .join(','),
  );
  return {
    name: `f32_lonemoments_t${taps}w${kernelWidth}v${vectors}.${lastLanes}_s${pixel},${inputRow},${image}_r${blocks[0]}_b${blocks[1]}`,
    generate: (a) => emitSums(a, spec),
  };
}

interface Walk {
  readonly x: Int;
  readonly sums: Int;
  readonly pilot: Vec;
  readonly count: number;
}

function emitSums(a: VectorAssembler, spec: SumSpec): void {
  const [x, pilot, sums] = [a.slot(SLOT.x), a.slot(SLOT.pilot), a.slot(SLOT.sums)];
  const vecBytes = a.lanes * 4;
  const blockBytes = sumRows(spec.taps) * vecBytes;
  emitZeros(a, sums, spec.vectors * sumRows(spec.taps));
  const images = a.slot(SLOT.images);
  const ofVector = (count: number): void => {
    const value = a.newVec();
    a.load(value, at(pilot));
    for (const pass of spec.passes) emitPass(a, spec, pass, { x, sums, pilot: value, count });
    a.freeVec(value);
    a.addInt(x, vecBytes);
    a.addInt(pilot, vecBytes);
    a.addInt(sums, blockBytes);
  };
  const whole = spec.lastLanes === a.lanes ? spec.vectors : spec.vectors - 1;
  a.loop(images, () => {
    a.loop(whole, () => ofVector(a.lanes));
    if (whole < spec.vectors) ofVector(spec.lastLanes);
    a.addInt(x, spec.image - spec.vectors * vecBytes);
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

/** A sum in a register and the row of its block. */
interface Sum {
  readonly row: number;
  readonly vec: Vec;
}

/** One walk over the positions of an image; pointers are afterwards where they were. */
function emitPass(a: VectorAssembler, spec: SumSpec, pass: Pass, walk: Walk): void {
  const { x } = walk;
  const sums = new Map<number, Sum>();
  const rows = pass.flatMap(({ tap, others, sums: own }) => [
    ...(own ? [tap] : []),
    ...others.map((other) => productRow(spec.taps, tap, other)),
  ]);
  for (const row of rows) {
    const vec = a.newVec();
    a.zero(vec);
    sums.set(row, { row, vec });
  }
  let down = 0;
  for (const row of spec.rows) {
    a.addInt(x, (row.start - down) * spec.inputRow);
    a.loop(row.repeat, () => {
      let right = 0;
      for (const column of spec.columns) {
        a.addInt(x, (column.start - right) * spec.pixel);
        a.loop(column.repeat, () => {
          emitPosition(a, spec, pass, walk, sums, row.reaches[0] ?? [], column.reaches[0] ?? []);
          a.addInt(x, column.advance * spec.pixel);
        });
        right = column.start + column.repeat * column.advance;
      }
      a.addInt(x, row.advance * spec.inputRow - right * spec.pixel);
    });
    down = row.start + row.repeat * row.advance;
  }
  a.subtractInt(x, down * spec.inputRow);
  for (const { row, vec } of sums.values()) {
    a.binary('add', vec, vec, at(walk.sums, row * a.lanes * 4));
    a.store(at(walk.sums, row * a.lanes * 4), vec);
    a.freeVec(vec);
  }
}

function emitPosition(
  a: VectorAssembler,
  spec: SumSpec,
  pass: Pass,
  { x, pilot, count }: Walk,
  sums: ReadonlyMap<number, Sum>,
  vertical: readonly Reach[],
  horizontal: readonly Reach[],
): void {
  const deviation = (tap: number): Vec => {
    const i = vertical.find((reach) => reach.tap === Math.floor(tap / spec.kernelWidth));
    const j = horizontal.find((reach) => reach.tap === tap % spec.kernelWidth);
    const value = a.newVec();
    if (i && j) {
      a.load(value, at(x, i.source * spec.inputRow + j.source * spec.pixel), count);
      a.binary('subtract', value, value, pilot);
    } else a.unary('negate', value, pilot);
    return value;
  };
  const held = new Map(pass.map(({ tap }) => [tap, deviation(tap)]));
  for (const { tap, sums: own } of pass) {
    const [value, sum] = [held.get(tap), sums.get(tap)];
    if (own && value !== undefined && sum) a.binary('add', sum.vec, sum.vec, value);
  }
  for (const other of new Set(pass.flatMap(({ others }) => others))) {
    const value = held.get(other) ?? deviation(other);
    for (const { tap, others } of pass) {
      const [own, sum] = [held.get(tap), sums.get(productRow(spec.taps, tap, other))];
      if (others.includes(other) && own !== undefined && sum) a.fma(sum.vec, own, value);
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
