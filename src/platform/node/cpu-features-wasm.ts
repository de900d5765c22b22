import { setFlagsFromString } from 'node:v8';
import { type WasmFeatures, wasmFeatures } from '../../assembler/wasm/wasm-features.ts';

/**
 * What WebAssembly can do in this Node. Node 20 has relaxed SIMD behind a flag, which must be set before a module
 * that uses it is compiled; Node 22 and later have it on and know no such flag.
 */
export function nodeWasmFeatures(): WasmFeatures {
  const features = wasmFeatures();
  if (!features.simd || features.relaxedSimd) return features;
  setFlagsFromString('--experimental-wasm-relaxed-simd');
  return wasmFeatures();
}
