/**
 * A first guess at the mean of every number of a patch, from a few pixels spread over the batch. Moments are taken
 * of what differs from it: then a mean that is large beside the deviations costs no precision, and one pass is
 * enough. What the guess misses, sums of the same pass make up for.
 */
import type { VectorAssembler } from '../../assembler/vector-assembler.ts';
import type { Tile } from '../plan/plan.ts';
import { overRow, partAt } from '../vector/vector-span.ts';
import { type PatchLayout, tapShares } from './patch-layout.ts';

const SLOT = { x: 1, means: 2 } as const;
const PIXELS = 64;

/** The mean of each channel over those pixels. @param means bytes into scratch memory, where they go */
export function pilotTile({ images, height, width, channels }: PatchLayout, means: number): Tile {
  const pixels = images * height * width;
  const count = Math.min(PIXELS, pixels);
  const step = spreadStep(pixels, count, height * width);
  return {
    kernel: {
      name: `f32_pilot_${count}of${channels}_s${step}`,
      generate: (a) => emitMeans(a, channels, count, step),
    },
    slots: [
      { buffer: 'input0', offset: 0 },
      { buffer: 'scratch', offset: means },
    ],
  };
}

/** For each group, for each tap, the channels' means times the share of positions at which the tap reads at all. */
export function pilotTableTile(layout: PatchLayout, means: number, table: number): Tile {
  const { groups, inner } = layout;
  const shares = tapShares(layout);
  return {
    kernel: {
      name: `f32_pilottable_g${groups},${inner}_t${shares.join()}`,
      generate: (a) => emitTable(a, groups, inner, shares),
    },
    slots: [
      { buffer: 'scratch', offset: means },
      { buffer: 'scratch', offset: table },
    ],
  };
}

/** Pixels from one sample to the next: a pattern that repeats with rows or images shall not be met at one place. */
function spreadStep(pixels: number, count: number, period: number): number {
  const greatest = Math.max(1, Math.floor((pixels - 1) / Math.max(1, count - 1)));
  for (let step = greatest; step > greatest / 2; step--) if (commonDivisor(step, period) === 1) return step;
  return greatest;
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}

function emitMeans(a: VectorAssembler, channels: number, count: number, step: number): void {
  const [x, means, pixel] = [a.slot(SLOT.x), a.slot(SLOT.means), a.newInt()];
  const [value, share] = [a.newVec(), a.newVec()];
  a.constant(share, 1 / count);
  overRow(a, channels, 4, [x, means], (parts) => {
    const sums = parts.map(() => a.newVec());
    for (const sum of sums) a.zero(sum);
    a.moveInt(pixel, x);
    a.loop(count, () => {
      sums.forEach((sum, i) => {
        const part = parts[i];
        if (part === undefined) return;
        a.load(value, partAt(pixel, part), part.lanes);
        a.binary('add', sum, sum, value);
      });
      a.addInt(pixel, step * channels * 4);
    });
    sums.forEach((sum, i) => {
      const part = parts[i];
      if (part === undefined) return;
      a.binary('multiply', sum, sum, share);
      a.store(partAt(means, part), sum, part.lanes);
    });
    a.freeVec(...sums);
  });
  a.freeVec(value, share);
  a.freeInt(x, means, pixel);
}

function emitTable(a: VectorAssembler, groups: number, inner: number, shares: readonly number[]): void {
  const [means, table] = [a.slot(1), a.slot(2)];
  const [value, share] = [a.newVec(), a.newVec()];
  a.loop(groups, () => {
    for (const each of shares) {
      a.constant(share, each);
      overRow(a, inner, 1, [means, table], ([part]) => {
        if (part === undefined) return;
        a.load(value, partAt(means, part), part.lanes);
        a.binary('multiply', value, value, share);
        a.store(partAt(table, part), value, part.lanes);
      });
      a.addInt(table, inner * 4);
    }
    a.addInt(means, inner * 4);
  });
  a.freeVec(value, share);
  a.freeInt(means, table);
}
