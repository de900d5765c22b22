/**
 * Lays weights out as kernels want them while a run goes on, for those that only a run knows: panel after panel of
 * a row of biases, then one row for each tap and input channel, output channels side by side. Numbers move one by
 * one, as there are no shuffles; what a row has room for beyond its columns is undefined.
 */
import { at, type Int, type Vec, type VectorAssembler } from '../../assembler/vector-assembler.ts';
import type { KernelSpec, Tile } from '../plan/plan.ts';
import { countBySlot } from '../vector/emit.ts';
import { partAt, partsOf } from '../vector/vector-span.ts';
import type { BufferOperand } from './convolution-row.ts';

const SLOT = { weight: 1, bias: 2, to: 3, panels: 4 } as const;

/** Rows written at a time: as many as numbers in a line of cache. */
const ROWS_A_TURN = 16;

/** Sizes count numbers. */
export interface PackSpec {
  /** Output channels of a panel, and room in each of its rows. */
  readonly columns: number;
  readonly rowNumbers: number;
  /** Input channels and taps, and how far apart neighbours of each lie in the weights of one output channel. */
  readonly inner: number;
  readonly taps: number;
  readonly between: { readonly channels: number; readonly taps: number };
}

export interface PackTask {
  readonly weight: BufferOperand;
  readonly bias: BufferOperand | undefined;
  /** Output channel with which the first panel begins. */
  readonly first: number;
  /** Full panels next to each other. */
  readonly panels: number;
  /** Bytes into scratch memory. */
  readonly offset: number;
}

export function packTile(spec: PackSpec, { weight, bias, first, panels, offset }: PackTask): Tile {
  const from = { buffer: weight.buffer, offset: first * spec.inner * spec.taps * 4 };
  const biases = bias ? { buffer: bias.buffer, offset: first * 4 } : 0;
  return {
    kernel: packKernel(spec, bias !== undefined),
    slots: [from, biases, { buffer: 'scratch', offset }, panels],
  };
}

function packKernel(spec: PackSpec, hasBias: boolean): KernelSpec {
  const { columns, rowNumbers, inner, taps, between } = spec;
  return {
    name: `f32_packweights${hasBias ? '_bias' : ''}_${columns}of${rowNumbers}_c${inner}t${taps}_s${between.channels},${between.taps}`,
    generate: (a) => emitPanels(a, spec, hasBias),
  };
}

function emitPanels(a: VectorAssembler, spec: PackSpec, hasBias: boolean): void {
  const { columns, rowNumbers, inner, taps, between } = spec;
  const from = a.slot(SLOT.weight);
  const to = a.slot(SLOT.to);
  const bias = hasBias ? a.slot(SLOT.bias) : undefined;
  const x = a.newVec();
  countBySlot(a, SLOT.panels, () => {
    for (const part of partsOf(columns, a.lanes)) {
      if (bias === undefined) a.zero(x);
      else a.load(x, partAt(bias, part), part.lanes);
      a.store(partAt(to, part), x);
    }
    if (bias !== undefined) a.addInt(bias, columns * 4);
    a.addInt(to, rowNumbers * 4);
    a.loop(taps, () => {
      a.loop(Math.floor(inner / ROWS_A_TURN), () => emitTurn(a, spec, from, to, x, ROWS_A_TURN));
      emitTurn(a, spec, from, to, x, inner % ROWS_A_TURN);
      a.addInt(from, (between.taps - inner * between.channels) * 4);
    });
    a.addInt(from, (columns * inner - between.taps) * taps * 4);
  });
  a.freeVec(x);
  a.freeInt(from, to, ...(bias === undefined ? [] : [bias]));
}

/** A few numbers of each output channel become a column of as many rows; then on to the next rows. */
function emitTurn(a: VectorAssembler, spec: PackSpec, from: Int, to: Int, x: Vec, rows: number): void {
  const { columns, rowNumbers, inner, taps, between } = spec;
  if (rows === 0) return;
  a.loop(columns, () => {
    for (let row = 0; row < rows; row++) {
      a.load(x, at(from, row * between.channels * 4), 1);
      a.store(at(to, row * rowNumbers * 4), x, 1);
    }
    a.addInt(from, inner * taps * 4);
    a.addInt(to, 4);
  });
  a.addInt(from, (rows * between.channels - columns * inner * taps) * 4);
  a.addInt(to, (rows * rowNumbers - columns) * 4);
}
