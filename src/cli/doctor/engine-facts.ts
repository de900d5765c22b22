import type { WasmFeatures } from '../../assembler/wasm/wasm-features.ts';
import { nodePlatform } from '../../node.ts';
import { readCpuFeatures } from '../../platform/node/cpu-features.ts';
import { nodeWasmFeatures } from '../../platform/node/cpu-features-wasm.ts';
import { openNative } from '../../platform/node/executable-memory.ts';

/** What the engines can use on this machine; facts of a new engine are added here. */
export interface EngineFacts {
  /** The one that runs when nothing else is asked for. */
  readonly used: string;
  /** Whether emitted machine code can run, with what the processor has, or why not. */
  readonly nativeCode: NativeFacts;
  readonly webAssembly: WasmFeatures;
}

export type NativeFacts =
  | { readonly usable: true; readonly features: readonly string[] }
  | { readonly usable: false; readonly reason: string };

export async function engineFacts(): Promise<EngineFacts> {
  const engine = await nodePlatform().engine();
  return { used: engine.name, nativeCode: await nativeFacts(), webAssembly: nodeWasmFeatures() };
}

async function nativeFacts(): Promise<NativeFacts> {
  const native = await openNative();
  if (!native.available) return { usable: false, reason: native.reason };
  const { avx2, avx512, avx512Bf16, amxBf16 } = readCpuFeatures(native.memory);
  const named = [
    ['AVX2', avx2],
    ['AVX-512', avx512],
    ['AVX-512 bf16', avx512Bf16],
    ['AMX bf16', amxBf16],
  ] as const;
  return { usable: true, features: named.flatMap(([name, has]) => (has ? [name] : [])) };
}
