/**
 * C = Aᵀ·B of bf16 factors with f32 sums, where the sums are long: gradients of weights, moments. Both
 * factors are stored across the sum. A chunk of rows of both is packed where the second cache holds it, and
 * multiplied into all of C, which is read and written once a chunk.
 *
 *     scratch   left blocks of the chunk [m/32][steps/32][2], then right ones [n/32][steps/32][2] (bf16-pairs.ts)
 *     C         whole tiles: rows and columns are padded to multiples of 32
 */
import { at, type Int, type VectorAssembler } from '../../../assembler/vector-assembler.ts';
import type { KernelSpec, Slot } from '../../plan/plan.ts';
import { countBySlot } from '../../vector/emit.ts';
import { BLOCK, BLOCK_BYTES, type BlockSource, emitBlock, ROW_BYTES, runsOf, STEPS } from './bf16-pairs.ts';
import type { SumsPair, SumsUnit } from './bf16-sums-units.ts';

export interface SumsSpec {
  /** Rows and columns of C. */
  readonly m: number;
  readonly n: number;
  /** Products of a chunk, a multiple of 32, and of what remains after whole ones. */
  readonly chunk: number;
  readonly rest: number;
  /** Bytes from one row to the next. */
  readonly aRow: number;
  readonly bRow: number;
  readonly cRow: number;
}

const SLOT = { a: 1, b: 2, c: 3, scratch: 4, chunks: 5 } as const;

export interface SumsRecord {
  readonly a: Slot;
  readonly b: Slot;
  readonly c: Slot;
  readonly scratch: Slot;
  /** Whole chunks. */
  readonly chunks: number;
}

export function sumsSlots({ a, b, c, scratch, chunks }: SumsRecord): readonly Slot[] {
  return [a, b, c, scratch, chunks];
}

const LINE_BYTES = 64;

/** Rows or columns that are computed at a time: two tiles. */
export const PAIR = 2 * BLOCK;

const pairsIn = (numbers: number): number => Math.ceil(numbers / PAIR);

/** Bytes of a packed factor's chunk. */
function packedChunkBytes(numbers: number, steps: number): number {
  return pairsIn(numbers) * 2 * Math.ceil(steps / STEPS) * BLOCK_BYTES;
}

export function sumsScratchBytes({ m, n, chunk, rest }: SumsSpec): number {
  const steps = Math.max(chunk, rest);
  return packedChunkBytes(m, steps) + packedChunkBytes(n, steps);
}

export function sumsKernel(unit: SumsUnit, spec: SumsSpec): KernelSpec {
  const { m, n, chunk, rest, aRow, bRow, cRow } = spec;
  return {
    name: `bf16_sums_${unit.name}_${m}x${n}_${chunk}+${rest}_s${aRow},${bRow},${cRow}`,
    generate: (a) => emitSums(a, unit, spec),
  };
}

interface Context {
  readonly a: VectorAssembler;
  readonly spec: SumsSpec;
  readonly c: Int;
  readonly scratch: Int;
  readonly holds: Int;
  readonly multiply: (pair: SumsPair) => void;
  readonly fetch: Fetch | undefined;
}

/** Fetches the next chunk's rows while this one is multiplied: all rows of some lines, then of the next lines. */
interface Fetch {
  /** Pairs of C in which all rows go by once. */
  readonly pairs: number;
  /** Lines of each row that are fetched then. */
  readonly leftLines: number;
  readonly rightLines: number;
  readonly left: Int;
  readonly right: Int;
  /** Pairs until the first row comes again. */
  readonly until: Int;
}

function emitSums(a: VectorAssembler, unit: SumsUnit, spec: SumsSpec): void {
  const [left, right, c, scratch] = [a.slot(SLOT.a), a.slot(SLOT.b), a.slot(SLOT.c), a.slot(SLOT.scratch)];
  const holds = a.int(0);
  const { multiply, close } = unit.open(a, spec.cRow);
  const fetch = openFetch(a, unit, spec);
  const context: Context = { a, spec, c, scratch, holds, multiply, fetch };
  const chunk = (steps: number): void => {
    const to = a.newInt();
    a.moveInt(to, scratch);
    emitPacking(a, { run: 'across', rowBytes: spec.aRow, turn: true }, spec.m, steps, left, to);
    emitPacking(a, { run: 'across', rowBytes: spec.bRow, turn: false }, spec.n, steps, right, to);
    a.freeInt(to);
    if (fetch) {
      a.moveInt(fetch.left, left);
      a.moveInt(fetch.right, right);
      a.moveInt(fetch.until, fetch.pairs);
    }
    emitProducts(context, steps);
    a.moveInt(holds, 1);
  };
  countBySlot(a, SLOT.chunks, () => chunk(spec.chunk));
  if (spec.rest > 0) chunk(spec.rest);
  close();
  a.freeInt(left, right, c, scratch, holds);
  if (fetch) a.freeInt(fetch.left, fetch.right, fetch.until);
}

function openFetch(a: VectorAssembler, { walks }: SumsUnit, { m, n }: SumsSpec): Fetch | undefined {
  if (walks === 0) return undefined;
  const pairs = STEPS / walks;
  const rounds = Math.floor((pairsIn(m) * pairsIn(n)) / pairs);
  if (rounds === 0) return undefined;
  const lines = (numbers: number): number => Math.ceil((numbers * 4) / LINE_BYTES / rounds);
  return {
    ...{ pairs, leftLines: lines(m), rightLines: lines(n) },
    ...{ left: a.newInt(), right: a.newInt(), until: a.newInt() },
  };
}

/** One row. */
function emitFetch(a: VectorAssembler, { aRow, bRow }: SumsSpec, fetch: Fetch): void {
  const { left, right, leftLines, rightLines } = fetch;
  for (let i = 0; i < leftLines; i++) a.prefetch(at(left, i * LINE_BYTES), 'second');
  for (let i = 0; i < rightLines; i++) a.prefetch(at(right, i * LINE_BYTES), 'second');
  a.addInt(left, aRow);
  a.addInt(right, bRow);
}

/** Behind a pair: back to the first row, and on to the next lines, once all rows went by. */
function emitNextLines(a: VectorAssembler, spec: SumsSpec, fetch: Fetch, rows: number): void {
  const { pairs, left, right, leftLines, rightLines, until } = fetch;
  a.subtractInt(until, 1);
  a.ifNonZero(
    until,
    () => {},
    () => {
      a.addInt(left, leftLines * LINE_BYTES - rows * spec.aRow);
      a.addInt(right, rightLines * LINE_BYTES - rows * spec.bRow);
      a.moveInt(until, pairs);
    },
  );
}

/** `from` moves on by the rows it has read, `to` behind the packed blocks. */
function emitPacking(
  a: VectorAssembler,
  source: BlockSource,
  numbers: number,
  steps: number,
  from: Int,
  to: Int,
): void {
  const chunks = Math.ceil(steps / STEPS);
  const { whole, rest } = runsOf(numbers, PAIR);
  const pairBytes = chunks * 2 * BLOCK_BYTES;
  const two = (part: number, others: number): void => {
    for (const i of [0, 1]) {
      emitBlock(a, source, { steps: part, others: clamp(others - i * BLOCK) }, from, to);
      a.addInt(from, ROW_BYTES);
      a.addInt(to, BLOCK_BYTES);
    }
    a.addInt(to, pairBytes - 2 * BLOCK_BYTES);
  };
  const across = (part: number): void => {
    a.loop(whole, () => two(part, PAIR));
    if (rest > 0) two(part, rest);
    a.addInt(from, part * source.rowBytes - pairsIn(numbers) * 2 * ROW_BYTES);
    a.addInt(to, 2 * BLOCK_BYTES - pairsIn(numbers) * pairBytes);
  };
  const runs = runsOf(steps, STEPS);
  a.loop(runs.whole, () => across(STEPS));
  if (runs.rest > 0) across(runs.rest);
  a.addInt(to, (pairsIn(numbers) - 1) * pairBytes);
}

const clamp = (count: number): number => Math.max(0, Math.min(BLOCK, count));

/** C += left·right, or C = left·right where it holds nothing yet. */
function emitProducts({ a, spec, c, scratch, holds, multiply, fetch }: Context, steps: number): void {
  const chunks = Math.ceil(steps / STEPS);
  const pairBytes = chunks * 2 * BLOCK_BYTES;
  const [left, right] = [a.newInt(), a.newInt()];
  a.moveInt(right, scratch);
  a.addInt(right, packedChunkBytes(spec.m, steps));
  a.loop(pairsIn(spec.n), () => {
    a.moveInt(left, scratch);
    a.loop(pairsIn(spec.m), () => {
      multiply({ chunks, left, right, c, holds, meanwhile: () => fetch && emitFetch(a, spec, fetch) });
      if (fetch) emitNextLines(a, spec, fetch, chunks * STEPS);
      a.addInt(left, pairBytes);
      a.addInt(c, PAIR * spec.cRow);
    });
    a.addInt(right, pairBytes);
    a.addInt(c, 2 * ROW_BYTES - pairsIn(spec.m) * PAIR * spec.cRow);
  });
  a.subtractInt(c, pairsIn(spec.n) * 2 * ROW_BYTES);
  a.freeInt(left, right);
}
