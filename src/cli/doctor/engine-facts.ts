import type { WasmFeatures } from '../../assembler/wasm/wasm-features.ts';
import { autoThreads } from '../../engine/cpu/cpu-engine.ts';
import { nodePlatform } from '../../node.ts';
import { nodeCpuParts } from '../../platform/node/cpu-engine.ts';
import { nodeWasmFeatures } from '../../platform/node/cpu-features-wasm.ts';
import { nativeSupport } from '../../platform/node/executable-memory-machine.ts';

/** What the engines can use on this machine; facts of a new engine are added here. */
export interface EngineFacts {
  /** The one that runs when nothing else is asked for. */
  readonly used: string;
  /** Whether emitted machine code can run, with what the processor has, or why not. */
  readonly nativeCode: NativeFacts;
  readonly webAssembly: WasmFeatures;
  /** Instruction sets it can emit, the one that it uses first; none means that it cannot run. */
  readonly targets: readonly string[];
  /** Of a run, when nothing else is asked for. */
  readonly threads: number;
}

export type NativeFacts =
  | { readonly usable: true; readonly features: readonly string[] }
  | { readonly usable: false; readonly reason: string };

export async function engineFacts(): Promise<EngineFacts> {
  const engine = await nodePlatform().engine();
  const { machines, pool } = await nodeCpuParts();
  return {
    used: engine.name,
    nativeCode: await nativeFacts(),
    webAssembly: nodeWasmFeatures(),
    targets: machines.map(({ target }) => target.name),
    threads: machines[0]?.canShare ? autoThreads(pool) : 1,
  };
}

async function nativeFacts(): Promise<NativeFacts> {
  const native = await nativeSupport();
  if (!native.available) return { usable: false, reason: native.reason };
  const { avx2, avx512, avx512Bf16, amxBf16 } = native.cpu;
  const named = [
    ['AVX2', avx2],
    ['AVX-512', avx512],
    ['AVX-512 bf16', avx512Bf16],
    ['AMX bf16', amxBf16],
  ] as const;
  return { usable: true, features: named.flatMap(([name, has]) => (has ? [name] : [])) };
}
