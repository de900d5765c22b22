import { at, type Tile, type VectorAssembler, type VectorTarget } from '../../assembler/vector-assembler.ts';
import type { KernelSpec, TaskPlan } from '../plan/plan.ts';

/** What a peak is made of: fused multiply-adds, pairs of bf16 products, or products of bf16 tiles. */
export type PeakKind = 'fma' | 'bf16Dot' | 'tiles';

/** The fastest that code of a precision can use on a target. */
export function peakKind({ features }: VectorTarget, precision: 'f32' | 'bf16'): PeakKind {
  if (precision === 'f32') return 'fma';
  if (features.has('tiles')) return 'tiles';
  return features.has('bf16Dot') ? 'bf16Dot' : 'fma';
}

const repeats = 20_000;

interface Loop {
  readonly kernel: KernelSpec;
  readonly flops: number;
}

/**
 * A task that does arithmetic on registers alone: the most a machine can do.
 * Input 0 holds at least one vector of zeros; the output has 64 bytes for every tile.
 * @param tiles pieces that threads share
 */
export function planPeak(target: VectorTarget, kind: PeakKind, tiles: number): TaskPlan {
  const { kernel, flops } = kind === 'tiles' ? tileLoop() : vectorLoop(target, kind);
  return {
    constants: [],
    scratchBytes: 0,
    flops: flops * tiles,
    steps: [
      Array.from({ length: tiles }, (_, i) => ({
        kernel,
        slots: [
          { buffer: 'input0', offset: 0 },
          { buffer: 'output', offset: 64 * i },
        ],
      })),
    ],
  };
}

/** Sums on as many registers as hide the latency of one. */
function vectorLoop({ vectorRegisters, lanes }: VectorTarget, kind: 'fma' | 'bf16Dot'): Loop {
  const count = vectorRegisters > 16 ? 24 : 12;
  const generate = (a: VectorAssembler): void => {
    const sums = Array.from({ length: count }, () => a.newVec());
    const zeros = a.newVec();
    const input = a.slot(1);
    a.load(zeros, at(input)); // from memory, so that no compiler knows what it is
    a.freeInt(input);
    for (const [i, sum] of sums.entries()) a.constant(sum, i + 1);
    a.loop(repeats, () => {
      for (const sum of sums) {
        if (kind === 'fma') a.fma(sum, sum, zeros);
        else a.dotBf16(sum, zeros, zeros);
      }
    });
    for (const sum of sums) a.binary('add', zeros, zeros, sum);
    const output = a.slot(2);
    a.store(at(output), zeros); // so that no compiler leaves the work out
    a.freeInt(output);
    a.freeVec(zeros, ...sums);
  };
  const perSum = kind === 'fma' ? 2 * lanes : 4 * lanes;
  return { kernel: { name: `peak-${kind}`, generate }, flops: repeats * count * perSum };
}

/** 16 × 32 by 32 × 16 bf16 products into four sums. */
function tileLoop(): Loop {
  const sums: readonly Tile[] = [0, 1, 2, 3];
  const generate = (a: VectorAssembler): void => {
    const { tiles } = a;
    if (tiles === undefined) return;
    tiles.configure(Array.from({ length: 8 }, () => ({ rows: 16, rowBytes: 64 })));
    for (const tile of [...sums, 4, 5, 6, 7] as const) tiles.zero(tile);
    a.loop(repeats / 10, () => {
      tiles.dotBf16(0, 4, 6);
      tiles.dotBf16(1, 4, 7);
      tiles.dotBf16(2, 5, 6);
      tiles.dotBf16(3, 5, 7);
    });
    tiles.release();
  };
  return {
    kernel: { name: 'peak-tiles', generate },
    flops: (repeats / 10) * sums.length * 16 * 16 * 32 * 2,
  };
}
