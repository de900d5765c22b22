import {
  type Address,
  atIndex,
  broadcastAt,
  type Int,
  type Vec,
  type VectorAssembler,
  type VectorTarget,
} from '../../assembler/vector-assembler.ts';
import { type WindowGeometry, windowOutputSize } from '../../graph/geometry.ts';
import { elementCount } from '../../tensor/tensor.ts';
import { fillOutput } from '../copy/fill.ts';
import type { TaskPlan, Tile, TileStep } from '../plan/plan.ts';
import { overRow, type Part, partAt } from '../vector/vector-span.ts';
import { describePool, factors, type Pool2dTask, segmentsOf, tapsOf } from './pool2d.ts';

/**
 * dx from dy (input0) and, for a maximum, x (input1): every window adds to the inputs it read, an average to all of
 * them alike, a maximum to the first that holds it. A tile is a stretch of one output row. Rows whose windows
 * overlap lie in different steps, and so do the stretches of a row.
 */
export function planPool2dGradient(target: VectorTarget, task: Pool2dTask): TaskPlan {
  const { input, window } = task;
  const [n = 1, height = 1, width = 1, channels = 1] = input;
  const [outHeight, outWidth] = windowOutputSize(window, height, width);
  const kernel = {
    name: `f32_${task.mode}PoolGrad_${describePool(task)}__${target.name}`,
    generate: (a: VectorAssembler) => generate(a, task),
  };
  const steps: TileStep[] = [fillOutput(target, elementCount(input), 0)];
  const apart = rowsApart(window);
  for (const { start, columns, taps } of segmentsOf(window, width, outWidth))
    for (let phase = 0; phase < Math.min(apart, outHeight); phase++) {
      const tiles: Tile[] = [];
      for (let image = 0; image < n; image++)
        for (let row = phase; row < outHeight; row += apart) {
          const rows = tapsOf(window, 0, row, height);
          const first = ((image * height + rows.first) * width + taps.first) * channels * 4;
          const out = ((image * outHeight + row) * outWidth + start) * channels * 4;
          tiles.push({
            kernel,
            slots: [
              { buffer: 'input0', offset: out },
              { buffer: 'input1', offset: first },
              { buffer: 'output', offset: first },
              columns,
              rows.count,
              taps.count,
              { buffer: 'constant0', offset: (rows.count * (window.kernel[1] + 1) + taps.count) * 4 },
            ],
          });
        }
      steps.push(tiles);
    }
  const flops = n * outHeight * outWidth * channels * window.kernel[0] * window.kernel[1];
  return { constants: [factors(task)], scratchBytes: 0, steps, flops };
}

/** Output rows this far apart read no input in common. */
function rowsApart({ kernel, dilation, stride }: WindowGeometry): number {
  return Math.ceil(((kernel[0] - 1) * dilation[0] + 1) / stride[0]);
}

/** Vectors of channels at once. */
const VECTORS = 2;

interface Pointers {
  readonly dy: Int;
  readonly x: Int;
  readonly dx: Int;
  readonly tapRows: Int;
  readonly tapColumns: Int;
}

function generate(a: VectorAssembler, task: Pool2dTask): void {
  const { input, window, mode } = task;
  const [, , , channels = 1] = input;
  const [dy, x, dx] = [a.slot(1), a.slot(2), a.slot(3)];
  const columns = a.slot(4);
  const pointers = { dy, x, dx, tapRows: a.slot(5), tapColumns: a.slot(6) };
  const factor = a.newVec();
  const table = a.slot(7);
  a.broadcast(factor, broadcastAt(table));
  a.freeInt(table);
  a.loop(columns, () => {
    overRow(a, channels, VECTORS, [dy, x, dx], (parts) => {
      const shares = parts.map((part) => {
        const share = a.newVec();
        a.load(share, partAt(dy, part), part.lanes);
        if (mode === 'average') a.binary('multiply', share, share, factor);
        return share;
      });
      if (mode === 'average') emitAverage(a, task, pointers, parts, shares);
      else emitMaximum(a, task, pointers, parts, shares);
      a.freeVec(...shares);
    });
    a.addInt(dy, channels * 4);
    a.addInt(x, channels * 4 * window.stride[1]);
    a.addInt(dx, channels * 4 * window.stride[1]);
  });
}

/** Calls back for every tap of a window, in order, with where it lies from the window's first. */
function overTaps(
  a: VectorAssembler,
  { input, window }: Pool2dTask,
  { tapRows, tapColumns }: Pointers,
  body: (tap: Int) => void,
): void {
  const [, , width = 1, channels = 1] = input;
  const [row, tap] = [a.int(0), a.newInt()];
  a.loop(tapRows, () => {
    a.moveInt(tap, row);
    a.loop(tapColumns, () => {
      body(tap);
      a.addInt(tap, channels * 4 * window.dilation[1]);
    });
    a.addInt(row, width * channels * 4 * window.dilation[0]);
  });
  a.freeInt(row, tap);
}

const tapAt = (pointer: Int, tap: Int, part: Part): Address => atIndex(pointer, tap, 1, part.offset);

function emitAverage(
  a: VectorAssembler,
  task: Pool2dTask,
  pointers: Pointers,
  parts: readonly Part[],
  shares: readonly Vec[],
): void {
  overTaps(a, task, pointers, (tap) => {
    parts.forEach((part, i) => {
      const share = shares[i];
      if (share !== undefined) emitAdd(a, tapAt(pointers.dx, tap, part), part, share);
    });
  });
}

/** Memory += value. */
function emitAdd(a: VectorAssembler, address: Address, part: Part, value: Vec): void {
  const sum = a.newVec();
  a.load(sum, address, part.lanes);
  a.binary('add', sum, sum, value);
  a.store(address, sum, part.lanes);
  a.freeVec(sum);
}

/** Once for the maximum, once to give the share to the first that equals it. */
function emitMaximum(
  a: VectorAssembler,
  task: Pool2dTask,
  pointers: Pointers,
  parts: readonly Part[],
  shares: readonly Vec[],
): void {
  const { x, dx } = pointers;
  const value = a.newVec();
  const maxima = parts.map((part) => {
    const most = a.newVec();
    a.load(most, partAt(x, part), part.lanes);
    return most;
  });
  overTaps(a, task, pointers, (tap) => {
    parts.forEach((part, i) => {
      const most = maxima[i];
      if (most === undefined) return;
      a.load(value, tapAt(x, tap, part), part.lanes);
      a.binary('maximum', most, most, value);
    });
  });
  const [gain, zero] = [a.newVec(), a.newVec()];
  a.zero(zero);
  overTaps(a, task, pointers, (tap) => {
    parts.forEach((part, i) => {
      const [most, share] = [maxima[i], shares[i]];
      if (most === undefined || share === undefined) return;
      a.load(value, tapAt(x, tap, part), part.lanes);
      a.select('equal', gain, value, most, share, zero);
      a.select('equal', share, value, most, zero, share);
      emitAdd(a, tapAt(dx, tap, part), part, gain);
    });
  });
  a.freeVec(value, gain, zero, ...maxima);
}
