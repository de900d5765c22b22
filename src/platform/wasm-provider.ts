import { PAGE_BYTES } from '../assembler/wasm/module.ts';
import type { WasmFeatures } from '../assembler/wasm/wasm-features.ts';
import { createWasmMachine } from '../assembler/wasm/wasm-machine.ts';
import { wasmTarget } from '../assembler/wasm/wasm-target.ts';
import type { MachineProvider } from '../engine/cpu/machine-provider.ts';

/** Addresses are 32 bits; the first and the last page stay free. */
const MAXIMUM_BYTES = 2 ** 32 - 2 * PAGE_BYTES;

/** WebAssembly machines that this runtime can run, the fastest first. */
export function wasmProviders(features: WasmFeatures): readonly MachineProvider[] {
  const variants = [...(features.relaxedSimd ? [true] : []), ...(features.simd ? [false] : [])];
  return variants.map((relaxed) => ({
    target: wasmTarget(relaxed),
    maximumBytes: MAXIMUM_BYTES,
    canShare: features.threads,
    // One page more than asked for: the memory's start is not handed out.
    create: (bytes, shared) => createWasmMachine({ relaxed, shared, maximumBytes: bytes + PAGE_BYTES }),
  }));
}
