import type { Feature, VectorTarget } from '../vector-assembler.ts';

export const LANES = 4;
/** Integers and vectors a generator may hold at once. */
export const INT_REGISTERS = 14;
export const VECTOR_REGISTERS = 16;

export interface WasmTarget extends VectorTarget {
  readonly name: 'wasm' | 'wasm-relaxed';
}

export function wasmTarget(relaxed: boolean): WasmTarget {
  return {
    name: relaxed ? 'wasm-relaxed' : 'wasm',
    lanes: LANES,
    vectorRegisters: VECTOR_REGISTERS,
    intRegisters: INT_REGISTERS,
    pointerBytes: 4,
    features: new Set<Feature>(relaxed ? ['fma'] : []),
  };
}
