import {
  at,
  broadcastAt,
  type Int,
  type Vec,
  type VectorAssembler,
  type VectorTarget,
} from '../../assembler/vector-assembler.ts';
import { type BilinearSample, bilinearSamples } from '../../graph/bilinear.ts';
import type { Shape } from '../../tensor/tensor.ts';
import type { TaskPlan, Tile } from '../plan/plan.ts';
import { overRow, type Part, partAt } from '../vector/vector-span.ts';

export interface ResizeTask {
  /** NHWC */
  readonly input: Shape;
  readonly height: number;
  readonly width: number;
  readonly alignCorners: boolean;
}

/** A row of the column table: byte offsets of the low and the high column (i32), 1 − fraction, fraction (f32). */
const COLUMN_BYTES = 16;

/** Bilinear, without antialiasing. A tile is one output row; a table of constants says where its columns read. */
export function planResizeBilinear(target: VectorTarget, task: ResizeTask): TaskPlan {
  const [n = 1, height = 1, width = 1, channels = 1] = task.input;
  const rows = bilinearSamples(height, task.height, task.alignCorners);
  const columns = bilinearSamples(width, task.width, task.alignCorners);
  const kernel = {
    name: `f32_resizeBilinear_${task.width}w${channels}c__${target.name}`,
    generate: (a: VectorAssembler) => generate(a, task.width, channels),
  };
  const rowBytes = width * channels * 4;
  const tiles: Tile[] = [];
  for (let image = 0; image < n; image++)
    for (const [i, { low, high }] of rows.entries())
      tiles.push({
        kernel,
        slots: [
          { buffer: 'input0', offset: (image * height + low) * rowBytes },
          { buffer: 'input0', offset: (image * height + high) * rowBytes },
          { buffer: 'output', offset: (image * task.height + i) * task.width * channels * 4 },
          { buffer: 'constant0', offset: i * 8 },
          { buffer: 'constant1', offset: 0 },
        ],
      });
  return {
    constants: [rowTable(rows), columnTable(columns, channels)],
    scratchBytes: 0,
    steps: [tiles],
    flops: 6 * n * task.height * task.width * channels,
  };
}

function rowTable(rows: readonly BilinearSample[]): Uint8Array {
  const table = Float32Array.from(rows.flatMap(({ fraction }) => [1 - fraction, fraction]));
  return new Uint8Array(table.buffer);
}

function columnTable(columns: readonly BilinearSample[], channels: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(columns.length * COLUMN_BYTES));
  for (const [i, { low, high, fraction }] of columns.entries()) {
    view.setInt32(i * COLUMN_BYTES, low * channels * 4, true);
    view.setInt32(i * COLUMN_BYTES + 4, high * channels * 4, true);
    view.setFloat32(i * COLUMN_BYTES + 8, 1 - fraction, true);
    view.setFloat32(i * COLUMN_BYTES + 12, fraction, true);
  }
  return new Uint8Array(view.buffer);
}

function generate(a: VectorAssembler, width: number, channels: number): void {
  const [top, bottom, output, rowWeights, table] = [a.slot(1), a.slot(2), a.slot(3), a.slot(4), a.slot(5)];
  const weights = [a.newVec(), a.newVec(), a.newVec(), a.newVec()] as const;
  a.broadcast(weights[0], broadcastAt(rowWeights));
  a.broadcast(weights[1], broadcastAt(rowWeights, 4));
  a.freeInt(rowWeights);
  const corners = [a.newInt(), a.newInt(), a.newInt(), a.newInt()] as const;
  a.loop(width, () => {
    for (const [i, row] of [top, bottom].entries())
      for (const [j, side] of [0, 4].entries()) {
        const corner = corners[2 * i + j];
        if (corner === undefined) continue;
        a.loadI32(corner, at(table, side));
        a.addInt(corner, row);
      }
    a.broadcast(weights[2], broadcastAt(table, 8));
    a.broadcast(weights[3], broadcastAt(table, 12));
    overRow(a, channels, 2, [...corners, output], (parts) => {
      for (const part of parts) emitBlend(a, corners, weights, output, part);
    });
    a.addInt(table, COLUMN_BYTES);
    a.addInt(output, channels * 4);
  });
}

/** output = (tl·left + tr·right)·up + (bl·left + br·right)·down */
function emitBlend(
  a: VectorAssembler,
  [topLeft, topRight, bottomLeft, bottomRight]: readonly [Int, Int, Int, Int],
  [up, down, left, right]: readonly [Vec, Vec, Vec, Vec],
  output: Int,
  part: Part,
): void {
  const [upper, lower, value] = [a.newVec(), a.newVec(), a.newVec()];
  const blend = (result: Vec, l: Int, r: Int): void => {
    a.load(value, partAt(l, part), part.lanes);
    a.binary('multiply', result, value, left);
    a.load(value, partAt(r, part), part.lanes);
    a.fma(result, value, right);
  };
  blend(upper, topLeft, topRight);
  blend(lower, bottomLeft, bottomRight);
  a.binary('multiply', upper, upper, up);
  a.fma(upper, lower, down);
  a.store(partAt(output, part), upper, part.lanes);
  a.freeVec(upper, lower, value);
}
