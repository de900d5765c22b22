import type { Int, Vec, VectorAssembler, VectorTarget } from '../../assembler/vector-assembler.ts';
import { elementCount, type Shape } from '../../tensor/tensor.ts';
import type { TaskPlan } from '../plan/plan.ts';
import { rowDot } from '../vector/row-dot.ts';
import { overRow, partAt, shares } from '../vector/vector-span.ts';

const TILE_ELEMENTS = 4096;

/** y·(dy − Σ dy·y) over the last axis: dy is input0, y = softmax(x) is input1. */
export function planSoftmaxGradient(target: VectorTarget, shape: Shape): TaskPlan {
  const length = shape.at(-1) ?? 1;
  const rows = elementCount(shape) / length;
  const tiles = shares(rows, Math.ceil(TILE_ELEMENTS / length)).map(({ start, count }) => {
    const offset = start * length * 4;
    return {
      kernel: {
        name: `f32_softmaxGrad_${count}r${length}c__${target.name}`,
        generate: (a: VectorAssembler) => generate(a, count, length),
      },
      slots: [
        { buffer: 'input0', offset },
        { buffer: 'input1', offset },
        { buffer: 'output', offset },
      ] as const,
    };
  });
  return { constants: [], scratchBytes: 0, steps: [tiles], flops: 4 * rows * length };
}

function generate(a: VectorAssembler, rows: number, length: number): void {
  const pointers = [a.slot(1), a.slot(2), a.slot(3)] as const;
  a.loop(rows, () => {
    const dot = rowDot(a, length, 1, pointers[0], pointers[1]);
    emitDifference(a, pointers, length, dot);
    a.freeVec(dot);
    for (const pointer of pointers) a.addInt(pointer, length * 4);
  });
}

type Pointers = readonly [dy: Int, y: Int, output: Int];

function emitDifference(a: VectorAssembler, [dy, y, output]: Pointers, length: number, dot: Vec): void {
  const [value, factor] = [a.newVec(), a.newVec()];
  overRow(a, length, 1, [dy, y, output], (parts) => {
    for (const part of parts) {
      a.load(value, partAt(dy, part), part.lanes);
      a.binary('subtract', value, value, dot);
      a.load(factor, partAt(y, part), part.lanes);
      a.binary('multiply', value, value, factor);
      a.store(partAt(output, part), value, part.lanes);
    }
  });
  a.freeVec(value, factor);
}
