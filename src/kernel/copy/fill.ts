import type { VectorAssembler, VectorTarget } from '../../assembler/vector-assembler.ts';
import type { TileStep } from '../plan/plan.ts';
import { overRow, partAt, shares } from '../vector/vector-span.ts';

const TILE_ELEMENTS = 16384;

/** A step that sets all `total` numbers of the output. */
export function fillOutput(target: VectorTarget, total: number, value: number): TileStep {
  return shares(total, TILE_ELEMENTS).map(({ start, count }) => ({
    kernel: {
      name: `f32_fill_${value}_${count}c__${target.name}`,
      generate: (a) => generate(a, count, value),
    },
    slots: [{ buffer: 'output', offset: start * 4 }],
  }));
}

function generate(a: VectorAssembler, count: number, value: number): void {
  const output = a.slot(1);
  const vector = a.newVec();
  a.constant(vector, value);
  overRow(a, count, 4, [output], (parts) => {
    for (const part of parts) a.store(partAt(output, part), vector, part.lanes);
  });
  a.freeVec(vector);
}
