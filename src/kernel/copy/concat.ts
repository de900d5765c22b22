import type { VectorAssembler, VectorTarget } from '../../assembler/vector-assembler.ts';
import { elementCount, type Shape } from '../../tensor/tensor.ts';
import type { TaskPlan, Tile } from '../plan/plan.ts';
import { overRow, partAt, shares } from '../vector/vector-span.ts';

const TILE_ELEMENTS = 4096;

/** Inputs side by side along the last axis. @param shapes inputs NHWC, alike but for C */
export function planConcat(target: VectorTarget, shapes: readonly Shape[]): TaskPlan {
  const widths = shapes.map((shape) => shape.at(-1) ?? 1);
  const channels = widths.reduce((sum, width) => sum + width, 0);
  const rows = elementCount(shapes[0]?.slice(0, -1) ?? []);
  const tiles: Tile[] = [];
  let offset = 0;
  for (const [i, width] of widths.entries()) {
    for (const { start, count } of shares(rows, Math.ceil(TILE_ELEMENTS / width)))
      tiles.push({
        kernel: {
          name: `f32_concat_${count}r${width}of${channels}c__${target.name}`,
          generate: (a) => emitRowCopies(a, count, width, { source: width, output: channels }),
        },
        slots: [
          { buffer: `input${i}`, offset: start * width * 4 },
          { buffer: 'output', offset: (start * channels + offset) * 4 },
        ],
      });
    offset += width;
  }
  return { constants: [], scratchBytes: 0, steps: [tiles], flops: 0 };
}

/** Copies `rows` rows of `width` numbers from slot 1 to slot 2; rows begin so many numbers apart. */
export function emitRowCopies(
  a: VectorAssembler,
  rows: number,
  width: number,
  apart: { readonly source: number; readonly output: number },
): void {
  const [source, output] = [a.slot(1), a.slot(2)];
  const value = a.newVec();
  a.loop(rows, () => {
    overRow(a, width, 4, [source, output], (parts) => {
      for (const part of parts) {
        a.load(value, partAt(source, part), part.lanes);
        a.store(partAt(output, part), value, part.lanes);
      }
    });
    a.addInt(source, apart.source * 4);
    a.addInt(output, apart.output * 4);
  });
  a.freeVec(value);
}
