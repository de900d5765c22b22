/** The machine a benchmark runs on, and the most that one thread of it can do. */
import type { Machine, MachineMemory } from '../src/assembler/machine.ts';
import { createWasmMachine } from '../src/assembler/wasm/wasm-machine.ts';
import { EngineError, UsageError } from '../src/errors.ts';
import { type PeakKind, planPeak } from '../src/kernel/product/peak.ts';
import { nodeWasmFeatures } from '../src/platform/node/cpu-features-wasm.ts';
import { createNativeMachine, nativeSupport } from '../src/platform/node/executable-memory-machine.ts';
import { area, loadPlan } from '../test/support/run-plan.ts';

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

/** What one thread of the machine can do, as a plan that runs on registers alone. */
export function loadPeak(
  machine: Machine,
  kind: PeakKind = 'fma',
): { readonly run: () => void; readonly flops: number } {
  const plan = planPeak(machine.target, kind, 1);
  const inputs = [area(machine.allocate(64))];
  const { run } = loadPlan(machine, plan, { inputs, output: area(machine.allocate(64)) });
  return { run, flops: plan.flops };
}

/** The same as GFLOP/s, measured. */
export function measuredPeak(machine: Machine): number {
  const peak = loadPeak(machine);
  const ms = Array.from({ length: 60 }, () => timed(peak.run));
  return peak.flops / percentile(ms, 0.05) / 1e6;
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
