import type { VectorAssembler, VectorTarget } from '../../assembler/vector-assembler.ts';
import type { Shape } from '../../tensor/tensor.ts';
import type { TaskPlan, Tile } from '../plan/plan.ts';
import { overRow, partAt, shares } from '../vector/vector-span.ts';

const TILE_ELEMENTS = 4096;
const VECTORS = 4;

/** [N,1,1,C] / (height·width) at every position: the gradient of a mean. @param shape output NHWC */
export function planSpread(target: VectorTarget, shape: Shape): TaskPlan {
  const [n = 1, height = 1, width = 1, channels = 1] = shape;
  const positions = height * width;
  const tiles: Tile[] = [];
  for (let image = 0; image < n; image++)
    for (const { start, count } of shares(positions, Math.ceil(TILE_ELEMENTS / channels)))
      tiles.push({
        kernel: {
          name: `f32_spread_${count}of${positions}p${channels}c__${target.name}`,
          generate: (a) => generate(a, count, channels, 1 / positions),
        },
        slots: [
          { buffer: 'input0', offset: image * channels * 4 },
          { buffer: 'output', offset: (image * positions + start) * channels * 4 },
        ],
      });
  return { constants: [], scratchBytes: 0, steps: [tiles], flops: n * channels };
}

/** Channels outside, positions inside: what is spread is read once. */
function generate(a: VectorAssembler, positions: number, channels: number, factor: number): void {
  const [source, output] = [a.slot(1), a.slot(2)];
  const scale = a.newVec();
  a.constant(scale, factor);
  overRow(a, channels, VECTORS, [source, output], (parts) => {
    const values = parts.map((part) => {
      const value = a.newVec();
      a.load(value, partAt(source, part), part.lanes);
      a.binary('multiply', value, value, scale);
      return value;
    });
    a.loop(positions, () => {
      parts.forEach((part, i) => {
        const value = values[i];
        if (value !== undefined) a.store(partAt(output, part), value, part.lanes);
      });
      a.addInt(output, channels * 4);
    });
    a.addInt(output, -positions * channels * 4);
    a.freeVec(...values);
  });
  a.freeVec(scale);
}
