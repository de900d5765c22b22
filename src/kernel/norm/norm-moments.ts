/**
 * Mean and biased variance of every channel, in two steps: each share of rows finds its own mean and sum of squared
 * deviations, and those are put together from the deviations of the shares' means (Chan, Golub, LeVeque: Algorithms
 * for Computing the Sample Variance, 1983). Numbers are taken relative to the mean of the share's first rows, and shares'
 * means relative to the first row of all, so that a mean far larger than the deviation costs no accuracy.
 */
import {
  at,
  type Int,
  type Vec,
  type VectorAssembler,
  type VectorTarget,
} from '../../assembler/vector-assembler.ts';
import type { BufferName, KernelSpec, Tile } from '../plan/plan.ts';
import { evenUnroll, overRow, partAt } from '../vector/vector-span.ts';
import { channelRow, channelSpans, type Rows, rowShares } from './norm-tiles.ts';

/** In scratch memory, for every share of rows: means less the first row, then sums of squared deviations. */
export function momentsBytes(rows: Rows): number {
  return rowShares(rows).length * 2 * channelRow(rows.channels);
}

/** @param offset of `momentsBytes` in scratch memory */
export function momentTiles(
  target: VectorTarget,
  rows: Rows,
  x: BufferName,
  offset: number,
): readonly Tile[] {
  const row = channelRow(rows.channels);
  return rowShares(rows).flatMap(({ start, count }, share) =>
    channelSpans(rows.channels).map(
      (span): Tile => ({
        kernel: momentKernel(target, count, span.count, rows.channels),
        slots: [
          { buffer: x, offset: (start * rows.channels + span.start) * 4 },
          { buffer: 'scratch', offset: offset + share * 2 * row + span.start * 4 },
          { buffer: x, offset: span.start * 4 },
        ],
      }),
    ),
  );
}

/** Rows whose mean the others are compared with. */
const FIRST_ROWS = 8;

function momentKernel(target: VectorTarget, rows: number, span: number, channels: number): KernelSpec {
  return {
    name: `f32_moments_${rows}r${span}c_s${channels}__${target.name}`,
    generate: (a) => {
      const [x, out, origin] = [a.slot(1), a.slot(2), a.slot(3)];
      const firstRows = Math.min(rows, FIRST_ROWS);
      // Three registers a vector: the mean of the first rows, Σ and Σ² of what differs from it.
      const unroll = evenUnroll(span, a.lanes, Math.floor((target.vectorRegisters - 4) / 3));
      overRow(a, span, unroll, [x, out, origin], (parts) => {
        const sums = parts.map((part) => ({ part, first: a.newVec(), sum: a.newVec(), squares: a.newVec() }));
        const value = a.newVec();
        for (const { first, sum, squares } of sums) {
          a.zero(first);
          a.zero(sum);
          a.zero(squares);
        }
        a.loop(firstRows, () => {
          for (const { part, first } of sums) {
            a.load(value, partAt(x, part), part.lanes);
            a.binary('add', first, first, value);
          }
          a.addInt(x, channels * 4);
        });
        a.addInt(x, -firstRows * channels * 4);
        a.constant(value, 1 / firstRows);
        for (const { first } of sums) a.binary('multiply', first, first, value);
        a.loop(rows, () => {
          for (const { part, first, sum, squares } of sums) {
            a.load(value, partAt(x, part), part.lanes);
            a.binary('subtract', value, value, first);
            a.binary('add', sum, sum, value);
            a.fma(squares, value, value);
          }
          a.addInt(x, channels * 4);
        });
        a.addInt(x, -rows * channels * 4);
        for (const { part, first, sum, squares } of sums) {
          // mean = first − origin + Σ/rows, squared deviations = Σ² − Σ·Σ/rows
          a.load(value, partAt(origin, part), part.lanes);
          a.binary('subtract', first, first, value);
          a.constant(value, 1 / rows);
          a.binary('multiply', value, value, sum);
          a.binary('add', first, first, value);
          a.binary('multiply', value, value, sum);
          a.binary('subtract', squares, squares, value);
          a.store(partAt(out, part), first);
          a.store(at(out, part.offset + channelRow(channels)), squares);
          a.freeVec(first, sum, squares);
        }
        a.freeVec(value);
      });
    },
  };
}

/** One vector of channels, of which `lanes` are meant. */
export interface MomentPointers {
  readonly partials: Int;
  /** The first row of x. */
  readonly origin: Int;
  readonly lanes: number;
}

/** mean, variance ← what the shares' moments make together. */
export function emitMoments(
  a: VectorAssembler,
  { rows, channels }: Rows,
  { partials, origin, lanes }: MomentPointers,
  mean: Vec,
  variance: Vec,
): void {
  const shares = rowShares({ rows, channels });
  const row = channelRow(channels);
  const full = shares[0]?.count ?? rows;
  const last = shares.at(-1)?.count ?? rows;
  const [value, sum, weight] = [a.newVec(), a.newVec(), a.newVec()];
  /** sum ← Σ over shares of rows·value, each share's value put into the register by `make`. */
  const addShares = (make: () => void): void => {
    a.zero(sum);
    a.loop(shares.length - 1, () => {
      make();
      a.binary('add', sum, sum, value);
      a.addInt(partials, 2 * row);
    });
    a.constant(weight, full);
    a.binary('multiply', sum, sum, weight);
    make();
    a.constant(weight, last);
    a.fma(sum, value, weight);
    a.addInt(partials, -(shares.length - 1) * 2 * row);
  };
  const divide = (target: Vec): void => {
    a.constant(weight, 1 / rows);
    a.binary('multiply', target, target, weight);
  };
  // Again relative to one of them.
  a.load(mean, at(partials));
  addShares(() => {
    a.load(value, at(partials));
    a.binary('subtract', value, value, mean);
  });
  divide(sum);
  a.binary('add', mean, mean, sum);
  a.zero(variance);
  addShares(() => {
    a.binary('add', variance, variance, at(partials, row));
    a.load(value, at(partials));
    a.binary('subtract', value, value, mean);
    a.binary('multiply', value, value, value);
  });
  a.binary('add', variance, variance, sum);
  divide(variance);
  a.load(value, at(origin), lanes);
  a.binary('add', mean, mean, value);
  a.freeVec(value, sum, weight);
}
