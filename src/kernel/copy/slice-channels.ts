import type { VectorTarget } from '../../assembler/vector-assembler.ts';
import { elementCount, type Shape } from '../../tensor/tensor.ts';
import type { TaskPlan, Tile } from '../plan/plan.ts';
import { shares } from '../vector/vector-span.ts';
import { emitRowCopies } from './concat.ts';

const TILE_ELEMENTS = 4096;

export interface SliceTask {
  /** NHWC */
  readonly input: Shape;
  /** Channels start … start + count − 1. */
  readonly start: number;
  readonly count: number;
}

export function planSliceChannels(target: VectorTarget, { input, start, count }: SliceTask): TaskPlan {
  const channels = input.at(-1) ?? 1;
  const rows = elementCount(input.slice(0, -1));
  const tiles = shares(rows, Math.ceil(TILE_ELEMENTS / count)).map(
    (share): Tile => ({
      kernel: {
        name: `f32_sliceChannels_${share.count}r${count}of${channels}c__${target.name}`,
        generate: (a) => emitRowCopies(a, share.count, count, { source: channels, output: count }),
      },
      slots: [
        { buffer: 'input0', offset: (share.start * channels + start) * 4 },
        { buffer: 'output', offset: share.start * count * 4 },
      ],
    }),
  );
  return { constants: [], scratchBytes: 0, steps: [tiles], flops: 0 };
}
