import {
  at,
  atIndex,
  broadcastAt,
  type Int,
  type Vec,
  type VectorAssembler,
  type VectorTarget,
} from '../../assembler/vector-assembler.ts';
import { bilinearSamples } from '../../graph/bilinear.ts';
import type { Shape } from '../../tensor/tensor.ts';
import type { TaskPlan, Tile } from '../plan/plan.ts';
import { zeroed } from '../vector/emit.ts';
import { overRow, type Part, partAt } from '../vector/vector-span.ts';

export interface ResizeGradientTask {
  /** dy, NHWC */
  readonly input: Shape;
  /** Rows and columns of dx. */
  readonly height: number;
  readonly width: number;
  readonly alignCorners: boolean;
}

/** An output row or column that an input one had a part in. */
interface Share {
  readonly index: number;
  readonly weight: number;
}

/** Byte offset (i32) and weight (f32) of a share. */
const SHARE_BYTES = 8;

/**
 * dx gathered from dy: every input row has a list of the output rows that it took part in, every column likewise. A
 * tile is one input row.
 */
export function planResizeBilinearGradient(target: VectorTarget, task: ResizeGradientTask): TaskPlan {
  const { input, height, width, alignCorners } = task;
  const [n = 1, outHeight = 1, outWidth = 1, channels = 1] = input;
  const rows = sharesOf(height, outHeight, alignCorners);
  const columns = sharesOf(width, outWidth, alignCorners);
  const rowBytes = width * channels * 4;
  const tiles: Tile[] = [];
  for (let image = 0; image < n; image++) {
    let before = 0;
    for (const [row, own] of rows.entries()) {
      tiles.push({
        kernel: {
          name: `f32_resizeBilinearGrad_${own.length}of${width}w${channels}c__${target.name}`,
          generate: (a) => generate(a, own.length, width, channels),
        },
        slots: [
          { buffer: 'input0', offset: image * outHeight * outWidth * channels * 4 },
          { buffer: 'output', offset: (image * height + row) * rowBytes },
          { buffer: 'constant0', offset: before * SHARE_BYTES },
          { buffer: 'constant1', offset: 0 },
          { buffer: 'constant2', offset: 0 },
        ],
      });
      before += own.length;
    }
  }
  return {
    constants: [
      shareTable(rows, outWidth * channels * 4),
      new Uint8Array(Int32Array.from(columns, (own) => own.length).buffer),
      shareTable(columns, channels * 4),
    ],
    scratchBytes: 0,
    steps: [tiles],
    flops: 8 * n * outHeight * outWidth * channels,
  };
}

/** For each of `size` inputs the outputs it had a part in, in order. */
function sharesOf(size: number, outSize: number, alignCorners: boolean): readonly (readonly Share[])[] {
  const shares: Share[][] = Array.from({ length: size }, () => []);
  bilinearSamples(size, outSize, alignCorners).forEach(({ low, high, fraction }, index) => {
    if (low === high) shares[low]?.push({ index, weight: 1 });
    else {
      shares[low]?.push({ index, weight: 1 - fraction });
      if (fraction > 0) shares[high]?.push({ index, weight: fraction });
    }
  });
  return shares;
}

function shareTable(lists: readonly (readonly Share[])[], bytesApart: number): Uint8Array {
  const all = lists.flat();
  const view = new DataView(new ArrayBuffer(all.length * SHARE_BYTES));
  for (const [i, { index, weight }] of all.entries()) {
    view.setInt32(i * SHARE_BYTES, index * bytesApart, true);
    view.setFloat32(i * SHARE_BYTES + 4, weight, true);
  }
  return new Uint8Array(view.buffer);
}

/** Vectors of channels at once. */
const VECTORS = 4;

interface Lists {
  readonly dy: Int;
  readonly rows: Int;
  readonly rowCount: number;
  readonly columns: Int;
  /** Where the number of this column's shares lies. */
  readonly columnCount: Int;
}

function generate(a: VectorAssembler, rowCount: number, width: number, channels: number): void {
  const [dy, output, rows, columnCount, columns] = [a.slot(1), a.slot(2), a.slot(3), a.slot(4), a.slot(5)];
  const next = a.newInt();
  a.loop(width, () => {
    a.moveInt(next, columns);
    overRow(a, channels, VECTORS, [dy, output], (parts) => {
      const sums = emitGather(a, { dy, rows, rowCount, columns, columnCount }, next, parts);
      parts.forEach((part, i) => {
        const sum = sums[i];
        if (sum !== undefined) a.store(partAt(output, part), sum, part.lanes);
      });
      a.freeVec(...sums);
    });
    a.moveInt(columns, next);
    a.addInt(columnCount, 4);
    a.addInt(output, channels * 4);
  });
}

/** Σ weight of row · Σ weight of column · dy. @param end becomes the end of this column's list */
function emitGather(
  a: VectorAssembler,
  { dy, rows, rowCount, columns, columnCount }: Lists,
  end: Int,
  parts: readonly Part[],
): readonly Vec[] {
  const sums = parts.map(() => zeroed(a));
  const [row, place] = [a.newInt(), a.newInt()];
  a.moveInt(row, rows);
  a.loop(rowCount, () => {
    const inner = parts.map(() => zeroed(a));
    const [weight, value] = [a.newVec(), a.newVec()];
    a.moveInt(end, columns);
    a.loadI32(place, at(columnCount));
    a.loop(place, () => {
      a.loadI32(place, at(row));
      addOffset(a, place, end);
      a.broadcast(weight, broadcastAt(end, 4));
      parts.forEach((part, i) => {
        const sum = inner[i];
        if (sum === undefined) return;
        a.load(value, atIndex(dy, place, 1, part.offset), part.lanes);
        a.fma(sum, value, weight);
      });
      a.addInt(end, SHARE_BYTES);
    });
    a.broadcast(weight, broadcastAt(row, 4));
    sums.forEach((sum, i) => {
      const term = inner[i];
      if (term !== undefined) a.fma(sum, term, weight);
    });
    a.addInt(row, SHARE_BYTES);
    a.freeVec(weight, value, ...inner);
  });
  a.freeInt(row, place);
  return sums;
}

/** place += the i32 that a list's entry begins with. */
function addOffset(a: VectorAssembler, place: Int, entry: Int): void {
  const offset = a.newInt();
  a.loadI32(offset, at(entry));
  a.addInt(place, offset);
  a.freeInt(offset);
}
