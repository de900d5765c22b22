/**
 * Moments of patches by products of matrices: patches become rows, stretch by stretch of the batch, and their
 * products with each other are added up. What the pilot mean missed is taken away at the end.
 */
import { at, type VectorAssembler, type VectorTarget } from '../../assembler/vector-assembler.ts';
import { stepsSideBySide } from '../plan/join-plans.ts';
import type { Slot, TaskPlan, Tile, TileStep } from '../plan/plan.ts';
import { type ScratchLayout, scratchAt, scratchLayout } from '../plan/scratch-layout.ts';
import { type Span, spans } from '../plan/split-work.ts';
import type { RoundedGemm } from '../product/gemm-task.ts';
import { overRow, partAt } from '../vector/vector-span.ts';
import type { PatchLayout } from './patch-layout.ts';
import { patchRowsCount, patchRowsTiles } from './patch-rows.ts';
import { pilotTableTile, pilotTile } from './pilot.ts';
import { mirrorTiles, type SymmetricProduct, upperProduct } from './symmetric-product.ts';
import { turnTile } from './turn.ts';

/** Numbers of patches that exist at a time: they should stay in a cache. */
const MOST_NUMBERS = 2 ** 20;

/** A stretch of the batch: whole images, or rows of the only one. */
interface Stretch {
  readonly images: Span;
  readonly lines: Span;
}

interface Places {
  readonly pilot: number;
  readonly rows: number;
  readonly sums: number;
  readonly products: number;
  /** What the pilot missed of the mean, in the order of rows. */
  readonly missed: number;
  readonly mean: number;
}

export function planDenseMoments(
  target: VectorTarget,
  patches: PatchLayout,
  rounding?: RoundedGemm,
): TaskPlan {
  const { groups, taps, length, channels, positions } = patches;
  const row = groups * length;
  const all = stretches(patches);
  const tilesOf = all.map((stretch) => patchRowsCount({ layout: patches, ...stretch }));
  const pays = all.every((stretch) =>
    rounding?.paysForSums({ m: length, n: length, k: positionsOf(patches, stretch) }),
  );
  const rounded = pays ? rounding : undefined;
  const sumRows = tilesOf.reduce((sum, count) => sum + count, 0);
  const most = Math.max(...all.map((stretch) => positionsOf(patches, stretch)));
  const scratch = scratchLayout();
  const means = scratch.take(channels);
  const places: Places = {
    pilot: scratch.take(row),
    rows: scratch.take(most * row),
    sums: scratch.take(sumRows * row),
    products: scratch.take(groups * length * length),
    missed: scratch.take(row),
    mean: scratch.take(row),
  };
  let sums = places.sums;
  const added = all.flatMap((stretch, i): readonly TileStep[] => {
    const tiles = patchRowsTiles({ layout: patches, ...stretch, ...places, sums });
    sums += (tilesOf[i] ?? 0) * row * 4;
    const steps = { steps: positionsOf(patches, stretch), accumulate: i > 0, rounded };
    return [tiles, ...products(target, patches, places, steps, scratch)];
  });
  return {
    constants: [],
    scratchBytes: scratch.bytes(),
    steps: [
      [pilotTile(patches, means)],
      [pilotTableTile(patches, means, places.pilot)],
      ...added,
      [meanTile(patches, places, sumRows), ...(rounded ? [] : mirrored(patches, places))],
      covarianceTiles(patches, places),
      ...(taps === 1 ? [] : [orderTiles(patches, places)]),
    ],
    flops: 2 * positions * groups * length * length,
  };
}

function stretches({ images, outHeight, outWidth, channels, taps }: PatchLayout): readonly Stretch[] {
  const perImage = outHeight * outWidth * channels * taps;
  if (images > 1 || outHeight === 1)
    return spans(images, Math.ceil((images * perImage) / MOST_NUMBERS)).map((each) => ({
      images: each,
      lines: { first: 0, end: outHeight },
    }));
  return spans(outHeight, Math.ceil(perImage / MOST_NUMBERS)).map((lines) => ({
    images: { first: 0, end: 1 },
    lines,
  }));
}

function positionsOf({ outWidth }: PatchLayout, { images, lines }: Stretch): number {
  return (images.end - images.first) * (lines.end - lines.first) * outWidth;
}

function products(
  target: VectorTarget,
  { groups, length }: PatchLayout,
  { rows, products }: Places,
  sums: Pick<SymmetricProduct, 'steps' | 'accumulate' | 'rounded'>,
  scratch: ScratchLayout,
): readonly TileStep[] {
  const row = groups * length;
  return stepsSideBySide(
    Array.from({ length: groups }, (_, group) => {
      const patches = scratchAt(rows + group * length * 4);
      const to = scratchAt(products + group * length * length * 4);
      const sizes = { length, ...sums, aRow: row, bRow: row };
      return upperProduct(target, { ...sizes, a: patches, b: patches, to }, scratch);
    }),
  );
}

function mirrored({ groups, length }: PatchLayout, { products }: Places): TileStep {
  return Array.from({ length: groups }, (_, group) =>
    mirrorTiles(length, scratchAt(products + group * length * length * 4)),
  ).flat();
}

/** missed = Σ rows / positions; mean = pilot + missed */
function meanTile({ groups, length, positions, taps }: PatchLayout, places: Places, sumRows: number): Tile {
  const row = groups * length;
  const mean: Slot = taps === 1 ? { buffer: 'output', offset: 0 } : scratchAt(places.mean);
  return {
    kernel: {
      name: `f32_momentmean_${row}r${sumRows}n${positions}`,
      generate: (a) => emitMean(a, row, sumRows, positions),
    },
    slots: [scratchAt(places.sums), scratchAt(places.pilot), scratchAt(places.missed), mean],
  };
}

function emitMean(a: VectorAssembler, row: number, sumRows: number, positions: number): void {
  const [sums, pilot, missed, mean] = [a.slot(1), a.slot(2), a.slot(3), a.slot(4)];
  const [from, sum, value, share] = [a.newInt(), a.newVec(), a.newVec(), a.newVec()];
  a.constant(share, 1 / positions);
  overRow(a, row, 1, [sums, pilot, missed, mean], ([part]) => {
    if (part === undefined) return;
    a.zero(sum);
    a.moveInt(from, sums);
    a.loop(sumRows, () => {
      a.load(value, partAt(from, part), part.lanes);
      a.binary('add', sum, sum, value);
      a.addInt(from, row * 4);
    });
    a.binary('multiply', sum, sum, share);
    a.store(partAt(missed, part), sum, part.lanes);
    a.load(value, partAt(pilot, part), part.lanes);
    a.binary('add', sum, sum, value);
    a.store(partAt(mean, part), sum, part.lanes);
  });
  a.freeVec(sum, value, share);
  a.freeInt(sums, pilot, missed, mean, from);
}

/** covariance = products / positions − missed·missedᵀ; in place where its order is not yet OIHW's. */
function covarianceTiles({ groups, length, positions, taps }: PatchLayout, places: Places): readonly Tile[] {
  const kernel = {
    name: `f32_covariance_${length}n${positions}`,
    generate: (a: VectorAssembler) => emitCovariance(a, length, positions),
  };
  return Array.from({ length: groups }, (_, group) =>
    spans(length, Math.ceil(length ** 2 / 2 ** 14)).map(({ first, end }): Tile => {
      const offset = (group * length + first) * length * 4;
      const from = scratchAt(places.products + offset);
      const missed = places.missed + group * length * 4;
      return {
        kernel,
        slots: [
          from,
          scratchAt(missed + first * 4),
          scratchAt(missed),
          taps === 1 ? { buffer: 'output1', offset } : from,
          end - first,
        ],
      };
    }),
  ).flat();
}

function emitCovariance(a: VectorAssembler, length: number, positions: number): void {
  const [products, own, missed, to, rows] = [a.slot(1), a.slot(2), a.slot(3), a.slot(4), a.slot(5)];
  const [value, minus, share, other] = [a.newVec(), a.newVec(), a.newVec(), a.newVec()];
  a.constant(share, 1 / positions);
  a.loop(rows, () => {
    a.broadcast(minus, at(own));
    a.unary('negate', minus, minus);
    overRow(a, length, 2, [products, missed, to], (parts) => {
      for (const part of parts) {
        a.load(value, partAt(products, part), part.lanes);
        a.binary('multiply', value, value, share);
        a.load(other, partAt(missed, part), part.lanes);
        a.fma(value, minus, other);
        a.store(partAt(to, part), value, part.lanes);
      }
    });
    a.addInt(own, 4);
    for (const pointer of [products, to]) a.addInt(pointer, length * 4);
  });
  a.freeVec(value, minus, share, other);
  a.freeInt(products, own, missed, to, rows);
}

/** From the order of rows, taps first, to OIHW's, channels first. */
function orderTiles({ groups, inner, taps, length }: PatchLayout, places: Places): readonly Tile[] {
  const turn = { rows: taps, columns: inner, fromRow: inner, toRow: taps };
  return Array.from({ length: groups }, (_, group) => {
    const mean = turnTile({
      ...turn,
      from: scratchAt(places.mean + group * length * 4),
      to: { buffer: 'output', offset: group * length * 4 },
    });
    const rows = Array.from({ length }, (_, i) => {
      const [tap, channel] = [Math.floor(i / inner), i % inner];
      return turnTile({
        ...turn,
        from: scratchAt(places.products + (group * length + i) * length * 4),
        to: { buffer: 'output1', offset: (group * length + channel * taps + tap) * length * 4 },
      });
    });
    return [mean, ...rows];
  }).flat();
}
