/**
 * The right factor of a product, packed for all rows of C at once: panel after panel of 32 columns, each a row of
 * f32 biases [columns] and then, for every 32 products of a sum, its one or two blocks (bf16-pairs.ts).
 */
import { at, type VectorAssembler } from '../../../assembler/vector-assembler.ts';
import type { BufferPlace } from '../../plan/plan.ts';
import { further, type KernelSpec, type Tile } from '../../plan/plan.ts';
import {
  BLOCK,
  BLOCK_BYTES,
  type BlockSource,
  emitBlock,
  otherBytes,
  ROW_BYTES,
  runsOf,
  STEPS,
  sourceName,
  stepBytes,
} from './bf16-pairs.ts';

export const PANEL_COLUMNS = 2 * BLOCK;
const SLOT = { from: 1, to: 2, bias: 3 } as const;

export interface Panels {
  readonly source: BlockSource;
  /** Columns of C, and products of each sum. */
  readonly n: number;
  readonly k: number;
}

/** Blocks side by side in a panel of so many columns. */
export function blocksAcross(columns: number): 1 | 2 {
  return columns > BLOCK ? 2 : 1;
}

function panelBytes(columns: number, k: number): number {
  return blocksAcross(columns) * (ROW_BYTES + Math.ceil(k / STEPS) * BLOCK_BYTES);
}

export function panelsBytes({ n, k }: Panels): number {
  const { whole, rest } = runsOf(n, PANEL_COLUMNS);
  return whole * panelBytes(PANEL_COLUMNS, k) + (rest > 0 ? panelBytes(rest, k) : 0);
}

/** @param bias [n], where there is one @param to a multiple of 64 bytes */
export function panelTiles(
  panels: Panels,
  from: BufferPlace,
  bias: BufferPlace | undefined,
  to: BufferPlace,
): readonly Tile[] {
  const { source, n, k } = panels;
  return Array.from({ length: Math.ceil(n / PANEL_COLUMNS) }, (_, i): Tile => {
    const column = i * PANEL_COLUMNS;
    const columns = Math.min(PANEL_COLUMNS, n - column);
    return {
      kernel: panelKernel(panels, columns, bias !== undefined),
      slots: [
        further(from, (column / BLOCK) * otherBytes(source)),
        further(to, i * panelBytes(PANEL_COLUMNS, k)),
        bias ? further(bias, column * 4) : 0,
      ],
    };
  });
}

function panelKernel({ source, k }: Panels, columns: number, hasBias: boolean): KernelSpec {
  return {
    name: `bf16_panel${hasBias ? '_bias' : ''}_${columns}x${k}_${sourceName(source)}`,
    generate: (a) => emitPanel(a, source, columns, k, hasBias),
  };
}

function emitPanel(
  a: VectorAssembler,
  source: BlockSource,
  columns: number,
  k: number,
  hasBias: boolean,
): void {
  const [from, to, bias] = [a.slot(SLOT.from), a.slot(SLOT.to), a.slot(SLOT.bias)];
  const across = blocksAcross(columns);
  const widths = Array.from({ length: across }, (_, i) => Math.min(BLOCK, columns - i * BLOCK));
  const x = a.newVec();
  for (const [i, width] of widths.entries()) {
    if (hasBias) a.load(x, at(bias, i * ROW_BYTES), width);
    else a.zero(x);
    a.store(at(to, i * ROW_BYTES), x);
  }
  a.freeVec(x);
  a.addInt(to, across * ROW_BYTES);
  const side = (steps: number): void => {
    for (const others of widths) {
      emitBlock(a, source, { steps, others }, from, to);
      a.addInt(from, otherBytes(source));
      a.addInt(to, BLOCK_BYTES);
    }
    a.subtractInt(from, across * otherBytes(source));
  };
  const { whole, rest } = runsOf(k, STEPS);
  a.loop(whole, () => {
    side(STEPS);
    a.addInt(from, stepBytes(source));
  });
  if (rest > 0) side(rest);
  a.freeInt(from, to, bias);
}
