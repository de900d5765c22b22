import type { Feature, VectorTarget } from '../vector-assembler.ts';

export interface X64Target extends VectorTarget {
  readonly name: 'avx512' | 'avx2';
}

/** What kernels may use, of what cpuid reports. */
export interface X64Capabilities {
  readonly avx2: boolean;
  /** F, BW, DQ and VL together. */
  readonly avx512: boolean;
  readonly avx512Bf16: boolean;
  /** Tiles with bf16, and the system has granted them. */
  readonly amxBf16: boolean;
}

/** The widest target of a machine, or the one asked for. @returns undefined where the machine lacks it */
export function x64Target(has: X64Capabilities, wanted?: 'avx512' | 'avx2'): X64Target | undefined {
  if (!has.avx2) return undefined;
  const intRegisters = 14;
  const pointerBytes = 8;
  if (wanted === 'avx2' || (wanted === undefined && !has.avx512)) {
    const features = new Set<Feature>(['fma']);
    return { name: 'avx2', lanes: 8, vectorRegisters: 16, intRegisters, pointerBytes, features };
  }
  if (!has.avx512) return undefined;
  const features = new Set<Feature>(['fma', 'embeddedBroadcast']);
  if (has.avx512Bf16) features.add('bf16Convert').add('bf16Dot');
  if (has.amxBf16) features.add('tiles');
  return { name: 'avx512', lanes: 16, vectorRegisters: 32, intRegisters, pointerBytes, features };
}
