/** C = activation(A·op(B) + bias + residual) of bf16 factors, or times a derivative: B is packed in panels first, rows of A on their way. */

import type { VectorTarget } from '../../../assembler/vector-assembler.ts';
import type { ActivationName } from '../../../graph/activations.ts';
import type { Derivative } from '../../convolution/conv-gradient-row.ts';
import { storesPast } from '../../plan/large-tensors.ts';
import type { BufferPlace } from '../../plan/plan.ts';
import { further, type TaskPlan, type Tile } from '../../plan/plan.ts';
import { alignUp } from '../../plan/scratch-layout.ts';
import { spans } from '../../plan/split-work.ts';
import { evenParts } from '../../plan/window-blocks.ts';
import type { GemmSizes } from '../../product/gemm-task.ts';
import type { BlockSource } from './bf16-pairs.ts';
import { panelsBytes, panelTiles } from './bf16-panels.ts';
import { type RowsSpec, rowsKernel, rowsScratchBytes, rowsSlots } from './bf16-rows-kernel.ts';
import { rowsUnit } from './bf16-rows-units.ts';

const MOST_TILES = 16;

export interface RowsTask extends GemmSizes {
  /** Bytes from one stored row to the next. */
  readonly aRow: number;
  readonly bRow: number;
  readonly cRow: number;
  /** B is stored as [n, k] instead of [k, n]. */
  readonly transposeB: boolean;
  readonly bias?: BufferPlace | undefined;
  /** Of C's layout; it may be C itself. */
  readonly residual?: BufferPlace | undefined;
  readonly activation: ActivationName | null;
  /** Of a tensor of C's layout. */
  readonly derivative?: Derivative | undefined;
  /** Nothing reads C soon. */
  readonly past: boolean;
}

/** Blocks of equal height next to each other. */
interface Blocks {
  readonly firstRow: number;
  readonly rows: number;
  readonly blocks: number;
}

function blocksOf(m: number, mostRows: number): readonly Blocks[] {
  const heights = evenParts(m, mostRows);
  let firstRow = 0;
  return [...new Set(heights)].flatMap((rows) => {
    const count = heights.filter((height) => height === rows).length;
    return spans(count, Math.ceil((MOST_TILES * count) / heights.length)).map(({ first, end }) => {
      const own = { firstRow, rows, blocks: end - first };
      firstRow += own.blocks * rows;
      return own;
    });
  });
}

/** Buffers: `input0` A, `input1` B, `output` C. */
export function planBf16Rows(target: VectorTarget, task: RowsTask): TaskPlan {
  const unit = rowsUnit(target);
  const { m, n, k, aRow, bRow, cRow, transposeB, activation, residual, derivative } = task;
  const source: BlockSource = {
    run: transposeB ? 'along' : 'across',
    rowBytes: bRow,
    turn: transposeB,
  };
  const panels = { source, n, k };
  const b: BufferPlace = { buffer: 'input1', offset: 0 };
  const packed: BufferPlace = { buffer: 'scratch', offset: 0 };
  const past = task.past && cRow === n * 4 && storesPast(m, m * cRow, n);
  let scratch = alignUp(panelsBytes(panels));
  const tiles = blocksOf(m, unit.mostRows).map(({ firstRow, rows, blocks }): Tile => {
    const spec: RowsSpec = {
      ...{ rows, n, k, aRow, cRow, activation, past },
      residual: residual !== undefined,
      derivative: derivative?.fn ?? null,
    };
    const slots = rowsSlots({
      a: { buffer: 'input0', offset: firstRow * aRow },
      panels: packed,
      c: { buffer: 'output', offset: firstRow * cRow },
      residual: residual ? further(residual, firstRow * cRow) : 0,
      derivative: derivative ? further(derivative.of, firstRow * cRow) : 0,
      scratch: { buffer: 'scratch', offset: scratch },
      blocks,
    });
    scratch += alignUp(rowsScratchBytes(spec));
    return { kernel: rowsKernel(unit, spec), slots };
  });
  const steps = [panelTiles(panels, b, task.bias, packed), tiles];
  return { constants: [], scratchBytes: scratch, steps, flops: 2 * m * n * k };
}
