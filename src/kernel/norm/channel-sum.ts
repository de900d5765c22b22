import { at, type VectorTarget } from '../../assembler/vector-assembler.ts';
import type { Shape } from '../../tensor/tensor.ts';
import type { TaskPlan, Tile } from '../plan/plan.ts';
import { emitSumOfShares, type SumsTask, sumsBytes, sumsTiles } from './norm-sums.ts';
import { rowsOf, vectorShares } from './norm-tiles.ts';

/** Σ over all but the last axis. */
export function planChannelSum(target: VectorTarget, shape: Shape): TaskPlan {
  const task: SumsTask = { ...rowsOf(shape), dy: 'input0', y: null, branches: [] };
  const { rows, channels } = task;
  const total = vectorShares(channels, target.lanes).map(
    ({ start, count }): Tile => ({
      kernel: {
        name: `f32_channelSum_${rows}r${channels}c_${count}__${target.name}`,
        generate: (a) => {
          const [partials, output, sum] = [a.slot(1), a.slot(2), a.newVec()];
          emitSumOfShares(a, task, partials, 0, sum);
          a.store(at(output), sum, count);
          a.freeVec(sum);
          a.freeInt(partials, output);
        },
      },
      slots: [
        { buffer: 'scratch', offset: start * 4 },
        { buffer: 'output', offset: start * 4 },
      ],
    }),
  );
  return {
    constants: [],
    scratchBytes: sumsBytes(task),
    steps: [sumsTiles(target, task), total],
    flops: rows * channels,
  };
}
