import {
  broadcastAt,
  type Int,
  type Vec,
  type VectorAssembler,
  type VectorTarget,
} from '../../assembler/vector-assembler.ts';
import { type WindowGeometry, windowOutputSize } from '../../graph/geometry.ts';
import type { Shape } from '../../tensor/tensor.ts';
import type { TaskPlan, Tile } from '../plan/plan.ts';
import { overRow, partAt } from '../vector/vector-span.ts';

export interface Pool2dTask {
  /** NHWC */
  readonly input: Shape;
  readonly mode: 'max' | 'average';
  readonly window: WindowGeometry;
  /** Divide by the whole window, or by the inputs that were read. */
  readonly countPadding: boolean;
}

/** Taps of a window along one axis that lie inside the picture, and where the first of them reads. */
interface Taps {
  readonly first: number;
  readonly count: number;
}

/** Neighbouring outputs of a row whose windows lack the same columns. */
interface Segment {
  readonly start: number;
  readonly columns: number;
  readonly taps: Taps;
}

/**
 * Maximum or average of a window. Padding is never read: a tile is a stretch of one output row whose windows are
 * cut alike, and its record says how many taps are left.
 */
export function planPool2d(target: VectorTarget, task: Pool2dTask): TaskPlan {
  const { input, window } = task;
  const [n = 1, height = 1, width = 1, channels = 1] = input;
  const [outHeight, outWidth] = windowOutputSize(window, height, width);
  const [kernelHeight, kernelWidth] = window.kernel;
  const segments = segmentsOf(window, width, outWidth);
  const kernel = {
    name: `f32_${task.mode}Pool_${describePool(task)}__${target.name}`,
    generate: (a: VectorAssembler) => generate(a, task),
  };
  const tiles: Tile[] = [];
  for (let image = 0; image < n; image++)
    for (let row = 0; row < outHeight; row++) {
      const rows = tapsOf(window, 0, row, height);
      for (const { start, columns, taps } of segments) {
        const first = ((image * height + rows.first) * width + taps.first) * channels;
        const out = ((image * outHeight + row) * outWidth + start) * channels;
        tiles.push({
          kernel,
          slots: [
            { buffer: 'input0', offset: first * 4 },
            { buffer: 'output', offset: out * 4 },
            columns,
            rows.count,
            taps.count,
            { buffer: 'constant0', offset: (rows.count * (kernelWidth + 1) + taps.count) * 4 },
          ],
        });
      }
    }
  const flops = n * outHeight * outWidth * channels * kernelHeight * kernelWidth;
  return { constants: [factors(task)], scratchBytes: 0, steps: [tiles], flops };
}

export function describePool({ input, window }: Pool2dTask): string {
  const [, , width, channels] = input;
  return `${width}w${channels}c_s${window.stride[1]}d${window.dilation.join('x')}`;
}

export function tapsOf(window: WindowGeometry, axis: 0 | 1, output: number, size: number): Taps {
  const dilation = window.dilation[axis];
  const start = output * window.stride[axis] - window.padding[axis];
  const skipped = Math.max(0, Math.ceil(-start / dilation));
  const end = Math.min(window.kernel[axis], Math.ceil((size - start) / dilation));
  return { first: start + skipped * dilation, count: end - skipped };
}

export function segmentsOf(window: WindowGeometry, width: number, outWidth: number): readonly Segment[] {
  const stride = window.stride[1];
  const segments: Segment[] = [];
  for (let column = 0; column < outWidth; column++) {
    const taps = tapsOf(window, 1, column, width);
    const last = segments.at(-1);
    const follows =
      last && last.taps.count === taps.count && last.taps.first + last.columns * stride === taps.first;
    if (last && follows) segments[segments.length - 1] = { ...last, columns: last.columns + 1 };
    else segments.push({ start: column, columns: 1, taps });
  }
  return segments;
}

/** 1 / divisor by the numbers of rows and columns read. */
export function factors({ window, countPadding }: Pool2dTask): Uint8Array {
  const [kernelHeight, kernelWidth] = window.kernel;
  const table = new Float32Array((kernelHeight + 1) * (kernelWidth + 1));
  for (let rows = 1; rows <= kernelHeight; rows++)
    for (let columns = 1; columns <= kernelWidth; columns++)
      table[rows * (kernelWidth + 1) + columns] =
        1 / (countPadding ? kernelHeight * kernelWidth : rows * columns);
  return new Uint8Array(table.buffer);
}

const VECTORS = 2;

function generate(a: VectorAssembler, { input, mode, window }: Pool2dTask): void {
  const [, , width = 1, channels = 1] = input;
  const [source, output, columns, tapRows, tapColumns] = [
    a.slot(1),
    a.slot(2),
    a.slot(3),
    a.slot(4),
    a.slot(5),
  ];
  const factor = a.newVec();
  const table = a.slot(6);
  a.broadcast(factor, broadcastAt(table));
  a.freeInt(table);
  const rowBytes = width * channels * 4 * window.dilation[0];
  a.loop(columns, () => {
    overRow(a, channels, VECTORS, [source, output], (parts) => {
      const results = parts.map((part) => {
        const result = a.newVec();
        if (mode === 'max') a.load(result, partAt(source, part), part.lanes);
        else a.zero(result);
        return result;
      });
      const [row, tap] = [a.newInt(), a.newInt()];
      a.moveInt(row, source);
      a.loop(tapRows, () => {
        a.moveInt(tap, row);
        a.loop(tapColumns, () => {
          parts.forEach((part, i) => {
            const result = results[i];
            if (result !== undefined) emitTap(a, mode, result, tap, part);
          });
          a.addInt(tap, channels * 4 * window.dilation[1]);
        });
        a.addInt(row, rowBytes);
      });
      a.freeInt(row, tap);
      parts.forEach((part, i) => {
        const result = results[i];
        if (result === undefined) return;
        if (mode === 'average') a.binary('multiply', result, result, factor);
        a.store(partAt(output, part), result, part.lanes);
      });
      a.freeVec(...results);
    });
    a.addInt(source, channels * 4 * window.stride[1]);
    a.addInt(output, channels * 4);
  });
}

function emitTap(
  a: VectorAssembler,
  mode: Pool2dTask['mode'],
  result: Vec,
  tap: Int,
  part: Parameters<typeof partAt>[1],
): void {
  const value = a.newVec();
  a.load(value, partAt(tap, part), part.lanes);
  if (mode === 'average') a.binary('add', result, result, value);
  else {
    // A NaN on the right is taken by `maximum`, one on the left must be kept.
    a.binary('maximum', value, result, value);
    a.select('equal', result, result, result, value, result);
  }
  a.freeVec(value);
}
