/** What cpuid answers mean (Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E). */
import { cpuidLeaves } from './system-code.ts';
import type { X64Capabilities } from './x64-target.ts';

export interface CacheSize {
  readonly level: number;
  readonly bytes: number;
}

export interface CpuFeatures extends X64Capabilities {
  readonly vendor: string;
  readonly brand: string;
  /** The processor has AMX with bf16, whether or not the system grants it. */
  readonly amxPresent: boolean;
  /** Data and unified caches, from level 1 up. */
  readonly caches: readonly CacheSize[];
}

const XCR0_AVX = 0x6;
const XCR0_AVX512 = 0xe6;
const XCR0_TILES = 0x60000;

/** @param words the answers in the order of cpuidLeaves, then XCR0 */
export function decodeCpuid(words: Uint32Array, tilesGranted: boolean): CpuFeatures {
  const answer = (
    leaf: number,
    subleaf = 0,
  ): readonly [eax: number, ebx: number, ecx: number, edx: number] => {
    const i = cpuidLeaves.findIndex(([l, s]) => l === leaf && s === subleaf) * 4;
    return [words[i] ?? 0, words[i + 1] ?? 0, words[i + 2] ?? 0, words[i + 3] ?? 0];
  };
  const [basicLeaves, ...vendorWords] = answer(0);
  const [extendedLeaves] = answer(0x80000000);
  const leaf = (number: number, subleaf = 0): ReturnType<typeof answer> =>
    number <= (number < 0x80000000 ? basicLeaves : extendedLeaves) ? answer(number, subleaf) : [0, 0, 0, 0];
  const bit = (word: number, index: number): boolean => ((word >>> index) & 1) === 1;
  const xcr0 = words[cpuidLeaves.length * 4] ?? 0;
  const saves = (mask: number): boolean => (xcr0 & mask) === mask;

  const [, , ecx1] = leaf(1);
  const [maxSubleaf7, ebx7, , edx7] = leaf(7);
  const [eax71] = maxSubleaf7 >= 1 ? leaf(7, 1) : [0];
  const avx2 = saves(XCR0_AVX) && bit(ecx1, 12) && bit(ecx1, 28) && bit(ebx7, 5); // FMA, AVX, AVX2
  const avx512 = avx2 && saves(XCR0_AVX512) && [16, 17, 30, 31].every((i) => bit(ebx7, i)); // F, DQ, BW, VL
  const amxPresent = avx512 && saves(XCR0_TILES) && bit(edx7, 22) && bit(edx7, 24); // AMX-BF16, AMX-TILE
  const [ebx0 = 0, ecx0 = 0, edx0 = 0] = vendorWords;
  const vendor = text([ebx0, edx0, ecx0]);
  return {
    vendor,
    brand: text([0x80000002, 0x80000003, 0x80000004].flatMap((l) => leaf(l))),
    avx2,
    avx512,
    avx512Bf16: avx512 && bit(eax71, 5),
    amxPresent,
    amxBf16: amxPresent && tilesGranted,
    caches: [0, 1, 2, 3].flatMap((i) => cache(leaf(vendor === 'AuthenticAMD' ? 0x8000001d : 4, i))),
  };
}

function cache([eax, ebx, ecx]: readonly [number, number, number, number]): CacheSize[] {
  const type = eax & 31; // 1 data, 2 instructions, 3 both
  if (type !== 1 && type !== 3) return [];
  const bytes = ((ebx >>> 22) + 1) * (((ebx >>> 12) & 0x3ff) + 1) * ((ebx & 0xfff) + 1) * (ecx + 1);
  return [{ level: (eax >>> 5) & 7, bytes }];
}

function text(words: readonly number[]): string {
  const codes = words.flatMap((word) => [0, 8, 16, 24].map((shift) => (word >>> shift) & 0xff));
  return String.fromCharCode(...codes.filter((code) => code !== 0)).trim();
}
