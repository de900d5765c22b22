import type { Int, Vec, VectorAssembler, VectorTarget } from '../../assembler/vector-assembler.ts';
import type { Shape } from '../../tensor/tensor.ts';
import type { TaskPlan, Tile } from '../plan/plan.ts';
import { zeroed } from '../vector/emit.ts';
import { type Part, partAt, partsOf, shares } from '../vector/vector-span.ts';

/** Vectors of channels a tile sums at once; each needs two registers. */
const VECTORS = 4;
/** Positions added one after the other before their sum joins the total: keeps rounding near that of f64. */
const BLOCK = 32;

/** Mean over rows and columns. @param shape input NHWC; the output is [N,1,1,C] */
export function planGlobalAveragePool(target: VectorTarget, shape: Shape): TaskPlan {
  return planSum(target, shape, 'mean');
}

/** Σ input0·input1 over rows and columns. @param shape both inputs', NHWC; the output is [N,1,1,C] */
export function planSpatialDot(target: VectorTarget, shape: Shape): TaskPlan {
  return planSum(target, shape, 'dot');
}

type Sum = 'mean' | 'dot';

function planSum(target: VectorTarget, shape: Shape, sum: Sum): TaskPlan {
  const [n = 1, height = 1, width = 1, channels = 1] = shape;
  const positions = height * width;
  const tiles: Tile[] = [];
  for (let image = 0; image < n; image++)
    for (const { start, count } of shares(channels, VECTORS * target.lanes)) {
      const offset = (image * positions * channels + start) * 4;
      tiles.push({
        kernel: {
          name: `f32_spatial_${sum}_${positions}p${channels}c_${count}__${target.name}`,
          generate: (a) => generate(a, sum, { positions, channels, count }),
        },
        slots: [
          { buffer: 'output', offset: (image * channels + start) * 4 },
          { buffer: 'input0', offset },
          ...(sum === 'dot' ? [{ buffer: 'input1', offset } as const] : []),
        ],
      });
    }
  const flops = (sum === 'dot' ? 2 : 1) * n * positions * channels;
  return { constants: [], scratchBytes: 0, steps: [tiles], flops };
}

interface Extent {
  readonly positions: number;
  readonly channels: number;
  /** Channels of this tile. */
  readonly count: number;
}

function generate(a: VectorAssembler, kind: Sum, { positions, channels, count }: Extent): void {
  const output = a.slot(1);
  const sources = kind === 'dot' ? [a.slot(2), a.slot(3)] : [a.slot(2)];
  const parts = partsOf(count, a.lanes);
  const totals = parts.map(() => zeroed(a));
  const addBlock = (length: number): void => {
    const sums = parts.map(() => zeroed(a));
    a.loop(length, () => {
      parts.forEach((part, i) => {
        const sum = sums[i];
        if (sum !== undefined) emitTerm(a, sources, part, sum);
      });
      for (const source of sources) a.addInt(source, channels * 4);
    });
    totals.forEach((total, i) => {
      const sum = sums[i];
      if (sum !== undefined) a.binary('add', total, total, sum);
    });
    a.freeVec(...sums);
  };
  a.loop(Math.floor(positions / BLOCK), () => addBlock(BLOCK));
  if (positions % BLOCK > 0) addBlock(positions % BLOCK);
  storeScaled(a, output, parts, totals, kind === 'mean' ? 1 / positions : 1);
}

/** sum += source, or the product of two. */
function emitTerm(a: VectorAssembler, [source, other]: readonly Int[], part: Part, sum: Vec): void {
  if (source === undefined) return;
  const value = a.newVec();
  a.load(value, partAt(source, part), part.lanes);
  if (other === undefined) a.binary('add', sum, sum, value);
  else {
    const factor = a.newVec();
    a.load(factor, partAt(other, part), part.lanes);
    a.fma(sum, value, factor);
    a.freeVec(factor);
  }
  a.freeVec(value);
}

function storeScaled(
  a: VectorAssembler,
  output: Int,
  parts: readonly Part[],
  totals: readonly Vec[],
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
