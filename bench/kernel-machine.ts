/** The machine a benchmark runs on, and the most that one thread of it can do. */
import type { Machine, MachineMemory } from '../src/assembler/machine.ts';
import { at, type TargetName } from '../src/assembler/vector-assembler.ts';
import { createWasmMachine } from '../src/assembler/wasm/wasm-machine.ts';
import { EngineError, UsageError } from '../src/errors.ts';
import type { TaskPlan } from '../src/kernel/plan.ts';
import { nodeWasmFeatures } from '../src/platform/node/cpu-features-wasm.ts';
import { createNativeMachine, nativeSupport } from '../src/platform/node/executable-memory-machine.ts';

export async function machineFor(name: string): Promise<Machine> {
  if (name === 'avx512' || name === 'avx2') {
    const support = await nativeSupport();
    if (!support.available) throw new EngineError(`bench: no native code here: ${support.reason}`);
    return createNativeMachine(support, { target: name });
  }
  const features = nodeWasmFeatures();
  const relaxed = name === 'wasm-relaxed';
  if (!relaxed && name !== 'wasm')
    throw new UsageError(`bench: expected target avx512, avx2, wasm or wasm-relaxed, found "${name}".`);
  if (relaxed && !features.relaxedSimd) throw new EngineError('bench: this runtime lacks relaxed SIMD');
  return createWasmMachine({ relaxed, shared: false });
}

/** Multiply-adds on as many registers as hide their latency: the most this thread can do. */
export function peakPlan(target: TargetName, lanes: number): TaskPlan {
  const sums = target === 'avx512' ? 24 : 12;
  const times = 20000;
  return {
    constants: [new Uint8Array(lanes * 4)],
    scratchBytes: 0,
    flops: times * sums * lanes * 2,
    steps: [
      [
        {
          slots: [
            { buffer: 'constant0', offset: 0 },
            { buffer: 'output', offset: 0 },
          ],
          kernel: {
            name: 'peak',
            generate(a) {
              const vecs = Array.from({ length: sums }, () => a.newVec());
              const zero = a.newVec();
              const constants = a.slot(1);
              a.load(zero, at(constants)); // from memory, so that no compiler knows what it is
              a.freeInt(constants);
              for (const [i, vec] of vecs.entries()) a.constant(vec, i + 1);
              a.loop(times, () => {
                for (const vec of vecs) a.fma(vec, vec, zero);
              });
              for (const vec of vecs) a.binary('add', zero, zero, vec);
              const output = a.slot(2);
              a.store(at(output), zero); // so that no compiler leaves the work out
              a.freeInt(output);
              a.freeVec(zero, ...vecs);
            },
          },
        },
      ],
    ],
  };
}

export const floatsOf = (memory: MachineMemory, length: number): Float32Array => {
  const bytes = memory.view(0, length * 4);
  return new Float32Array(bytes.buffer, bytes.byteOffset, length);
};

export const percentile = (values: readonly number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length * share)] ?? Number.NaN;

export function timed(run: () => void): number {
  const start = performance.now();
  run();
  return performance.now() - start;
}
