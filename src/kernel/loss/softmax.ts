import {
  at,
  broadcastAt,
  type Int,
  type Vec,
  type VectorAssembler,
  type VectorTarget,
} from '../../assembler/vector-assembler.ts';
import { elementCount, type Shape } from '../../tensor/tensor.ts';
import type { TaskPlan } from '../plan/plan.ts';
import { emitExp } from '../vector/activation.ts';
import { overRow, partAt, shares } from '../vector/vector-span.ts';

const TILE_ELEMENTS = 2048;

/** e^(x − max) / Σ e^(x − max) over the last axis. The output may overwrite the input. */
export function planSoftmax(target: VectorTarget, shape: Shape): TaskPlan {
  const length = shape.at(-1) ?? 1;
  const rows = elementCount(shape) / length;
  const tiles = shares(rows, Math.ceil(TILE_ELEMENTS / length)).map(({ start, count }) => ({
    kernel: {
      name: `f32_softmax_${count}r${length}c__${target.name}`,
      generate: (a: VectorAssembler) => generate(a, count, length),
    },
    slots: [
      { buffer: 'input0', offset: start * length * 4 },
      { buffer: 'output', offset: start * length * 4 },
    ] as const,
  }));
  return { constants: [], scratchBytes: 0, steps: [tiles], flops: 4 * rows * length };
}

function generate(a: VectorAssembler, rows: number, length: number): void {
  const [source, output] = [a.slot(1), a.slot(2)];
  a.loop(rows, () => {
    const most = emitRowMaximum(a, source, length);
    const sum = emitExponentials(a, source, output, length, most);
    emitDivision(a, output, length, sum);
    a.freeVec(most, sum);
    if (rows === 1) return;
    a.addInt(source, length * 4);
    a.addInt(output, length * 4);
  });
}

/** The largest of a row in every lane. Where the row does not fill its last vector, that vector overlaps. */
export function emitRowMaximum(a: VectorAssembler, source: Int, length: number): Vec {
  const most = a.newVec();
  const value = a.newVec();
  a.broadcast(most, broadcastAt(source));
  if (length < a.lanes) {
    for (let i = 1; i < length; i++) {
      a.broadcast(value, broadcastAt(source, i * 4));
      a.binary('maximum', most, most, value);
    }
  } else {
    const whole = length - (length % a.lanes);
    overRow(a, whole, 1, [source], (parts) => {
      for (const part of parts) {
        a.load(value, partAt(source, part));
        a.binary('maximum', most, most, value);
      }
    });
    if (whole < length) {
      a.load(value, at(source, (length - a.lanes) * 4));
      a.binary('maximum', most, most, value);
    }
    a.reduceLanes('maximum', most, most);
  }
  a.freeVec(value);
  return most;
}

/** output = e^(x − most). @returns their sum in every lane */
function emitExponentials(a: VectorAssembler, source: Int, output: Int, length: number, most: Vec): Vec {
  const sum = a.newVec();
  const value = a.newVec();
  a.zero(sum);
  overRow(a, length, 1, [source, output], (parts) => {
    for (const part of parts) {
      a.load(value, partAt(source, part), part.lanes);
      a.binary('subtract', value, value, most);
      emitExp(a, value);
      a.store(partAt(output, part), value, part.lanes);
      // Lanes beyond the row hold e^(0 − most); reading back what was stored makes them 0.
      if (part.lanes < a.lanes) a.load(value, partAt(output, part), part.lanes);
      a.binary('add', sum, sum, value);
    }
  });
  a.reduceLanes('add', sum, sum);
  a.freeVec(value);
  return sum;
}

function emitDivision(a: VectorAssembler, output: Int, length: number, sum: Vec): void {
  const value = a.newVec();
  overRow(a, length, 2, [output], (parts) => {
    for (const part of parts) {
      a.load(value, partAt(output, part), part.lanes);
      a.binary('divide', value, value, sum);
      a.store(partAt(output, part), value, part.lanes);
    }
  });
  a.freeVec(value);
}
