import type { Int, VectorAssembler, VectorTarget } from '../assembler/vector-assembler.ts';
import type { Shape } from '../tensor/tensor.ts';
import type { TaskPlan, Tile } from './plan.ts';
import { partAt, partsOf, shares } from './vector-span.ts';

/** Vectors of channels a tile sums at once; each needs two registers. */
const VECTORS = 4;
/** Positions added one after the other before their sum joins the total: keeps rounding near that of f64. */
const BLOCK = 32;

/** Mean over rows and columns. @param shape input NHWC; the output is [N,1,1,C] */
export function planGlobalAveragePool(target: VectorTarget, shape: Shape): TaskPlan {
  const [n = 1, height = 1, width = 1, channels = 1] = shape;
  const positions = height * width;
  const tiles: Tile[] = [];
  for (let image = 0; image < n; image++)
    for (const { start, count } of shares(channels, VECTORS * target.lanes))
      tiles.push({
        kernel: {
          name: `f32_globalAveragePool_${positions}p${channels}c_${count}__${target.name}`,
          generate: (a) => generate(a, positions, channels, count),
        },
        slots: [
          { buffer: 'input0', offset: (image * positions * channels + start) * 4 },
          { buffer: 'output', offset: (image * channels + start) * 4 },
        ],
      });
  return { constants: [], scratchBytes: 0, steps: [tiles], flops: n * positions * channels };
}

function generate(a: VectorAssembler, positions: number, channels: number, count: number): void {
  const [source, output] = [a.slot(1), a.slot(2)];
  const parts = partsOf(count, a.lanes);
  const totals = parts.map(() => zeroed(a));
  const addBlock = (length: number): void => {
    const sums = parts.map(() => zeroed(a));
    const value = a.newVec();
    a.loop(length, () => {
      parts.forEach((part, i) => {
        const sum = sums[i];
        if (sum === undefined) return;
        a.load(value, partAt(source, part), part.lanes);
        a.binary('add', sum, sum, value);
      });
      a.addInt(source, channels * 4);
    });
    totals.forEach((total, i) => {
      const sum = sums[i];
      if (sum !== undefined) a.binary('add', total, total, sum);
    });
    a.freeVec(value, ...sums);
  };
  a.loop(Math.floor(positions / BLOCK), () => addBlock(BLOCK));
  if (positions % BLOCK > 0) addBlock(positions % BLOCK);
  storeScaled(a, output, parts, totals, 1 / positions);
}

function zeroed(a: VectorAssembler) {
  const vec = a.newVec();
  a.zero(vec);
  return vec;
}

function storeScaled(
  a: VectorAssembler,
  output: Int,
  parts: ReturnType<typeof partsOf>,
  totals: readonly ReturnType<typeof zeroed>[],
  factor: number,
): void {
  const scale = a.newVec();
  a.constant(scale, factor);
  parts.forEach((part, i) => {
    const total = totals[i];
    if (total === undefined) return;
    a.binary('multiply', total, total, scale);
    a.store(partAt(output, part), total, part.lanes);
  });
  a.freeVec(scale, ...totals);
}
