/** C = Aᵀ·B of bf16 factors: parts of long sums are taken apart, and added up in order. */

import type { VectorTarget } from '../../../assembler/vector-assembler.ts';
import type { Slot, TaskPlan, Tile } from '../../plan/plan.ts';
import { type Span, spans, wantedTiles } from '../../plan/split-work.ts';
import { type SumTask, sumTiles } from '../../product/gemm-sum.ts';
import type { GemmSizes } from '../../product/gemm-task.ts';
import { STEPS } from './bf16-pairs.ts';
import { PAIR, type SumsSpec, sumsKernel, sumsScratchBytes, sumsSlots } from './bf16-sums-kernel.ts';
import { sumsUnit } from './bf16-sums-units.ts';

/** Packed chunks of both factors should stay in the second cache, beside C. */
const PACKED_BYTES = 2 ** 18;
const MOST_CHUNK = 1024;
/** Parts of a sum: their products are kept apart, and added up at the end. */
const MOST_PARTS = 8;
const STEPS_A_PART = 512;
/** All together: a large C is rather cut itself, though each tile then packs the same rows of B. */
const PART_BYTES = 2 ** 20;
const FEW_TILES = 4;
const ROWS_A_TILE = 256;

export interface SumsTask extends GemmSizes {
  /** Bytes from one stored row to the next. */
  readonly aRow: number;
  readonly bRow: number;
  readonly cRow: number;
  /** C holds numbers that the product is added to. */
  readonly accumulate: boolean;
}

const padded = (numbers: number): number => Math.ceil(numbers / PAIR) * PAIR;

function partsOf({ m, n, k }: SumsTask): readonly Span[] {
  const fitting = Math.floor(PART_BYTES / (padded(m) * padded(n) * 4));
  const parts = Math.max(1, Math.min(MOST_PARTS, fitting, Math.floor(k / STEPS_A_PART)));
  return spans(Math.ceil(k / STEPS), parts).map(({ first, end }) => ({
    first: first * STEPS,
    end: Math.min(k, end * STEPS),
  }));
}

/** Steps of the chunks that so many are cut into. */
function chunkOf(steps: number, m: number, n: number): number {
  const fitting = Math.floor(PACKED_BYTES / (2 * (padded(m) + padded(n))));
  const most = Math.max(2 * STEPS, Math.min(MOST_CHUNK, fitting));
  return Math.ceil(steps / Math.ceil(steps / most) / STEPS) * STEPS;
}

/** Buffers: `input0` A [k, m], `input1` B [k, n], `output` C. The same for any number of threads. */
export function planBf16Sums(target: VectorTarget, task: SumsTask): TaskPlan {
  const unit = sumsUnit(target);
  const { m, n, k, aRow, bRow, accumulate } = task;
  const parts = partsOf(task);
  const inPlace = parts.length === 1 && !accumulate && m % PAIR === 0 && n % PAIR === 0;
  const cRow = inPlace ? task.cRow : padded(n) * 4;
  const partBytes = inPlace ? 0 : padded(m) * cRow;
  const cuts = Math.min(Math.ceil(FEW_TILES / parts.length), Math.ceil(m / ROWS_A_TILE));
  const rowSpans = spans(padded(m) / PAIR, cuts);
  let scratch = parts.length * partBytes;
  const tiles = parts.flatMap((steps, part) =>
    rowSpans.map(({ first, end }): Tile => {
      const row = first * PAIR;
      const rows = Math.min(m, end * PAIR) - row;
      const count = steps.end - steps.first;
      const chunk = chunkOf(count, rows, n);
      const spec: SumsSpec = { m: rows, n, chunk, rest: count % chunk, aRow, bRow, cRow };
      const c: Slot = { buffer: inPlace ? 'output' : 'scratch', offset: part * partBytes + row * cRow };
      const slots = sumsSlots({
        a: { buffer: 'input0', offset: steps.first * aRow + row * 4 },
        b: { buffer: 'input1', offset: steps.first * bRow },
        c,
        scratch: { buffer: 'scratch', offset: scratch },
        chunks: Math.floor(count / chunk),
      });
      scratch += sumsScratchBytes(spec);
      return { kernel: sumsKernel(unit, spec), slots };
    }),
  );
  const sum: SumTask = {
    ...{ m, n, parts: parts.length, offset: 0, accumulate },
    ...{ partRow: cRow, between: partBytes, cRow: task.cRow },
  };
  const added = inPlace ? [] : [sumTiles(sum, wantedTiles(parts.length * m * n))];
  return { constants: [], scratchBytes: scratch, steps: [tiles, ...added], flops: 2 * m * n * k };
}
