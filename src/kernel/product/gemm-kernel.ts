/**
 * The kernel of matrix products whose operands come as they lie, or with B in panels: a few rows of C × a few
 * vectors of its columns stay in registers while products go by. A step takes one number of each row of op(A),
 * given to all lanes, and one row of op(B). Which way A is stored only says how far apart these numbers are.
 *
 * Sums longer than a chunk are taken chunk by chunk, so that what a panel reads stays in the nearest cache; C holds
 * them meanwhile.
 */
import {
  at,
  atIndex,
  type Int,
  type TargetName,
  type Vec,
  type VectorAssembler,
  type VectorTarget,
} from '../../assembler/vector-assembler.ts';
import { rowsCollide } from '../plan/large-tensors.ts';
import type { KernelSpec, Slot } from '../plan/plan.ts';
import { countBySlot } from '../vector/emit.ts';
import { addOuterProduct } from './outer-product.ts';

/** Everything the code depends on; strides are in bytes. */
export interface GemmSpec {
  /** Of A, from one row of C to the next, and from one step to the next. */
  readonly aRow: number;
  readonly aStep: number;
  /** Of B, from one step to the next, and from one panel to the next. */
  readonly bStep: number;
  readonly bPanel: number;
  readonly cRow: number;
  /** Vectors in a panel, and lanes of the last one that are columns of C. */
  readonly vectors: number;
  readonly lastLanes: number;
  /** B may be read beyond the last column: it is packed, with room for whole vectors. */
  readonly wholeVectors: boolean;
  /** Rows of C in a block, for each kind of block. */
  readonly heights: readonly number[];
  /** Lines of A, and of B, of the next chunk that each turn of the innermost loop fetches; rows lie back to back. */
  readonly chunkAhead: number;
  /** C is written past the caches: sums are no longer than a chunk. */
  readonly past: boolean;
}

const SLOT = {
  a: 1,
  b: 2,
  c: 3,
  holds: 4,
  chunks: 5,
  turns: 6,
  lastTurns: 7,
  lastSteps: 8,
  panels: 9,
  bBack: 10,
  aBack: 11,
  cBack: 12,
  cPanelsBack: 13,
  repeats: 14,
} as const;

export interface GemmRecord {
  readonly a: Slot;
  readonly b: Slot;
  readonly c: Slot;
  /** C holds numbers to add to. */
  readonly holds: boolean;
  readonly steps: number;
  readonly panels: number;
  /** How many blocks of each height. */
  readonly repeats: readonly number[];
}

/** Steps after which the next block of C takes its turn: a panel of so many rows stays in the first cache. */
export const CHUNK_STEPS = 256;

/** Rows that lie apart are fetched so many steps ahead: processors see neighbouring ones coming by themselves. */
const STEPS_AHEAD = 64;
const CACHE_LINE = 64;

interface LoopStyle {
  /** Steps in the innermost loop's body; divides CHUNK_STEPS. */
  readonly unroll: number;
}
const styles: Readonly<Record<TargetName, LoopStyle>> = {
  avx512: { unroll: 4 },
  avx2: { unroll: 4 },
  'wasm-relaxed': { unroll: 1 },
  wasm: { unroll: 1 },
};

export function gemmSlots(target: VectorTarget, spec: GemmSpec, record: GemmRecord): readonly Slot[] {
  const { unroll } = styles[target.name];
  const chunks = Math.ceil(record.steps / CHUNK_STEPS);
  const last = record.steps - (chunks - 1) * CHUNK_STEPS;
  const rows = spec.heights.reduce((sum, height, i) => sum + height * (record.repeats[i] ?? 0), 0);
  return [
    record.a,
    record.b,
    record.c,
    record.holds ? 1 : 0,
    chunks,
    CHUNK_STEPS / unroll,
    Math.floor(last / unroll),
    last % unroll,
    record.panels,
    record.panels * spec.bPanel,
    rows * spec.aRow,
    rows * spec.cRow,
    record.panels * spec.vectors * target.lanes * 4,
    ...record.repeats,
  ];
}

export function gemmKernel(spec: GemmSpec): KernelSpec {
  const { aRow, aStep, bStep, bPanel, cRow, vectors, lastLanes, wholeVectors, heights, chunkAhead, past } =
    spec;
  const strides = [aRow, aStep, bStep, bPanel, cRow].join(',');
  const name = `f32_gemm_${heights.join(',')}x${vectors}.${lastLanes}${wholeVectors ? 'w' : ''}${chunkAhead ? `_f${chunkAhead}` : ''}${past ? '_past' : ''}_s${strides}`;
  return { name, generate: (a) => emitProduct(a, spec) };
}

/** What lives through the whole kernel. */
interface State {
  readonly a: Int;
  readonly b: Int;
  readonly c: Int;
  /** C holds numbers to add to: the caller's, or those of the chunk before. */
  readonly holds: Int;
  readonly turns: Int;
  readonly steps: Int;
  /** Bytes of the next chunk that were fetched. */
  readonly ahead: Int | undefined;
}

function emitProduct(a: VectorAssembler, spec: GemmSpec): void {
  const state: State = {
    a: a.slot(SLOT.a),
    b: a.slot(SLOT.b),
    c: a.slot(SLOT.c),
    holds: a.slot(SLOT.holds),
    turns: a.slot(SLOT.turns),
    steps: a.int(0),
    ahead: spec.chunkAhead > 0 ? a.newInt() : undefined,
  };
  const chunks = a.slot(SLOT.chunks);
  a.whileNonZero(chunks, () => {
    a.subtractInt(chunks, 1);
    a.ifNonZero(
      chunks,
      () => {},
      () => {
        a.loadPointer(state.turns, at(a.record, 8 * SLOT.lastTurns));
        a.loadPointer(state.steps, at(a.record, 8 * SLOT.lastSteps));
      },
    );
    if (state.ahead) a.moveInt(state.ahead, 0);
    emitChunk(a, spec, state);
    a.moveInt(state.holds, 1);
  });
  a.freeInt(chunks, state.a, state.b, state.c, state.holds, state.turns, state.steps);
  if (state.ahead) a.freeInt(state.ahead);
}

function subtractSlot(a: VectorAssembler, target: Int, slot: number): void {
  const value = a.slot(slot);
  a.subtractInt(target, value);
  a.freeInt(value);
}

/** All panels over some steps, and on to the next steps. */
function emitChunk(a: VectorAssembler, spec: GemmSpec, state: State): void {
  countBySlot(a, SLOT.panels, () => {
    for (const [i, height] of spec.heights.entries())
      countBySlot(a, SLOT.repeats + i, () => emitBlock(a, spec, height, state));
    subtractSlot(a, state.a, SLOT.aBack);
    subtractSlot(a, state.c, SLOT.cBack);
    a.addInt(state.b, spec.bPanel);
    a.addInt(state.c, spec.vectors * a.lanes * 4);
  });
  subtractSlot(a, state.b, SLOT.bBack);
  subtractSlot(a, state.c, SLOT.cPanelsBack);
  a.addInt(state.a, CHUNK_STEPS * spec.aStep);
  a.addInt(state.b, CHUNK_STEPS * spec.bStep);
}

type Sums = readonly (readonly Vec[])[];

function emitBlock(a: VectorAssembler, spec: GemmSpec, height: number, state: State): void {
  const sums: Sums = Array.from({ length: height }, () =>
    Array.from({ length: spec.vectors }, () => a.newVec()),
  );
  a.ifNonZero(
    state.holds,
    () => eachPart(a, spec, sums, (sum, offset, lanes) => a.load(sum, at(state.c, offset), lanes)),
    () => eachPart(a, spec, sums, (sum) => a.zero(sum)),
  );
  emitSteps(a, spec, sums, state);
  eachPart(a, spec, sums, (sum, offset, lanes) => {
    if (spec.past && lanes === a.lanes) a.storePast(at(state.c, offset), sum);
    else a.store(at(state.c, offset), sum, lanes);
  });
  a.freeVec(...sums.flat());
  a.addInt(state.a, height * spec.aRow);
  a.addInt(state.c, height * spec.cRow);
}

/** Every vector of a block of C: bytes from its first, and how many lanes of it are meant. */
function eachPart(
  a: VectorAssembler,
  spec: GemmSpec,
  sums: Sums,
  use: (sum: Vec, offset: number, lanes: number) => void,
): void {
  for (const [row, vecs] of sums.entries())
    for (const [v, sum] of vecs.entries())
      use(sum, row * spec.cRow + v * a.lanes * 4, v === spec.vectors - 1 ? spec.lastLanes : a.lanes);
}

function emitSteps(a: VectorAssembler, spec: GemmSpec, sums: Sums, state: State): void {
  const { unroll } = styles[a.target.name];
  const from = a.newInt();
  const row = a.newInt();
  a.moveInt(from, state.a);
  a.moveInt(row, state.b);
  const walk = (times: Int, steps: number): void =>
    a.loop(times, () => {
      for (let u = 0; u < steps; u++) {
        emitStep(a, spec, sums, from, u * spec.aStep, row, u * spec.bStep);
        if (steps > 1 && fetchesNextBlock(spec))
          for (let r = u; r < sums.length; r += steps)
            a.prefetch(at(from, u * spec.aStep + (sums.length + r) * spec.aRow));
      }
      a.addInt(from, steps * spec.aStep);
      a.addInt(row, steps * spec.bStep);
      if (steps > 1) fetchChunk(a, spec, state);
    });
  walk(state.turns, unroll);
  if (unroll > 1) walk(state.steps, 1);
  a.freeInt(from, row);
}

/** Goes on fetching what the next chunk reads, evenly: memory is slower than products are. */
function fetchChunk(a: VectorAssembler, spec: GemmSpec, { a: left, b: right, ahead }: State): void {
  if (ahead === undefined) return;
  for (let line = 0; line < spec.chunkAhead * CACHE_LINE; line += CACHE_LINE) {
    a.prefetch(atIndex(left, ahead, 1, CHUNK_STEPS * spec.aStep + line));
    a.prefetch(atIndex(right, ahead, 1, CHUNK_STEPS * spec.bStep + line));
  }
  a.addInt(ahead, spec.chunkAhead * CACHE_LINE);
}

/** Rows of A that the next block reads are fetched meanwhile, unless they would take the places of this block's. */
function fetchesNextBlock({ aRow, aStep }: GemmSpec): boolean {
  return aStep === 4 && !rowsCollide(aRow);
}

/** sums[r][v] += A[r] · B[v] */
function emitStep(
  a: VectorAssembler,
  spec: GemmSpec,
  sums: Sums,
  from: Int,
  aOffset: number,
  row: Int,
  bOffset: number,
): void {
  const [only = []] = sums;
  if (sums.length === 1) {
    emitRowStep(a, spec, only, from, aOffset, row, bOffset);
    return;
  }
  const columns = only.map(() => a.newVec());
  for (const [v, vec] of columns.entries()) loadColumns(a, spec, vec, v, row, bOffset);
  addOuterProduct(a, sums, columns, from, aOffset, spec.aRow);
  if (!spec.wholeVectors)
    for (let line = 0; line < spec.vectors * a.lanes * 4; line += CACHE_LINE)
      a.prefetch(at(row, bOffset + STEPS_AHEAD * spec.bStep + line));
  if (spec.aStep > CACHE_LINE) a.prefetch(at(from, aOffset + STEPS_AHEAD * spec.aStep));
  a.freeVec(...columns);
}

/** A single row uses each vector of B once, straight from memory. */
function emitRowStep(
  a: VectorAssembler,
  spec: GemmSpec,
  sums: readonly Vec[],
  from: Int,
  aOffset: number,
  row: Int,
  bOffset: number,
): void {
  const x = a.newVec();
  a.broadcast(x, at(from, aOffset));
  for (const [v, sum] of sums.entries()) {
    if (lanesRead(a, spec, v) === a.lanes) {
      a.fma(sum, x, at(row, bOffset + v * a.lanes * 4));
      continue;
    }
    const vec = a.newVec();
    loadColumns(a, spec, vec, v, row, bOffset);
    a.fma(sum, x, vec);
    a.freeVec(vec);
  }
  a.freeVec(x);
}

function lanesRead(a: VectorAssembler, spec: GemmSpec, v: number): number {
  return v < spec.vectors - 1 || spec.wholeVectors ? a.lanes : spec.lastLanes;
}

function loadColumns(
  a: VectorAssembler,
  spec: GemmSpec,
  target: Vec,
  v: number,
  row: Int,
  offset: number,
): void {
  a.load(target, at(row, offset + v * a.lanes * 4), lanesRead(a, spec, v));
}
