/**
 * AVX, AVX-512 and AMX instructions as a table, and their VEX and EVEX encodings (Intel SDM volume 2, 2.3 and
 * 2.7). The shorter VEX form is taken wherever the operands allow it.
 */
import type { Encoder } from './encoder.ts';
import type { Memory } from './operand.ts';

/**
 * How EVEX counts an 8-bit displacement: in whole vectors, or in elements when one is broadcast (full); in whole
 * vectors (whole); in halves of one (half); in a fixed number of bytes.
 */
type Unit = 'full' | 'whole' | 'half' | 1 | 2 | 4 | 8 | 16;

export interface VectorInstruction {
  readonly prefix: 0 | 1 | 2 | 3;
  readonly map: 1 | 2 | 3;
  readonly opcode: number;
  readonly unit: Unit;
  readonly wide: 0 | 1;
  readonly forms: 'both' | 'vex' | 'evex';
}

const none = 0;
const x66 = 1;
const xf3 = 2;
const xf2 = 3;

function row(
  prefix: 0 | 1 | 2 | 3,
  map: 1 | 2 | 3,
  opcode: number,
  unit: Unit = 'full',
  forms: VectorInstruction['forms'] = 'both',
  wide: 0 | 1 = 0,
): VectorInstruction {
  return { prefix, map, opcode, unit, forms, wide };
}

/** Named by Intel's mnemonic; where VEX and EVEX names differ, by the VEX one. */
export const VECTOR = {
  vmovups: row(none, 1, 0x10, 'whole'),
  vmovupsStore: row(none, 1, 0x11, 'whole'),
  vmovntps: row(none, 1, 0x2b, 'whole'),
  vmovaps: row(none, 1, 0x28, 'whole'),
  vmovss: row(xf3, 1, 0x10, 4),
  vmovssStore: row(xf3, 1, 0x11, 4),
  vmovsd: row(xf2, 1, 0x10, 8, 'vex'),
  vmovsdStore: row(xf2, 1, 0x11, 8, 'vex'),
  vmovdqu: row(xf3, 1, 0x6f, 'whole', 'vex'),
  vmovdquStore: row(xf3, 1, 0x7f, 'whole', 'vex'),
  vmovdqu16Store: row(xf2, 1, 0x7f, 'whole', 'evex', 1),
  vmovd: row(x66, 1, 0x6e, 4, 'vex'),
  vmovq: row(xf3, 1, 0x7e, 8, 'vex'),
  vmovqStore: row(x66, 1, 0xd6, 8, 'vex'),
  vpinsrw: row(x66, 1, 0xc4, 2, 'vex'),
  vpinsrd: row(x66, 3, 0x22, 4, 'vex'),
  vpextrw: row(x66, 3, 0x15, 2, 'vex'),
  vpextrd: row(x66, 3, 0x16, 4, 'vex'),
  vmaskmovps: row(x66, 2, 0x2c, 'whole', 'vex'),
  vmaskmovpsStore: row(x66, 2, 0x2e, 'whole', 'vex'),
  vbroadcastss: row(x66, 2, 0x18, 4),
  vpbroadcastw: row(x66, 2, 0x79, 2),
  vaddps: row(none, 1, 0x58),
  vmulps: row(none, 1, 0x59),
  vsubps: row(none, 1, 0x5c),
  vminps: row(none, 1, 0x5d),
  vdivps: row(none, 1, 0x5e),
  vmaxps: row(none, 1, 0x5f),
  vsqrtps: row(none, 1, 0x51),
  vfmadd231ps: row(x66, 2, 0xb8),
  vandps: row(none, 1, 0x54),
  vxorps: row(none, 1, 0x57),
  vpand: row(x66, 1, 0xdb),
  vpxor: row(x66, 1, 0xef),
  vpaddd: row(x66, 1, 0xfe),
  /** Shift by a constant: the ModRM register field is /2 or /6, the target goes in vvvv. */
  vpshiftd: row(x66, 1, 0x72),
  vcmpps: row(none, 1, 0xc2),
  vblendvps: row(x66, 3, 0x4a, 'whole', 'vex'),
  vblendmps: row(x66, 2, 0x65, 'full', 'evex'),
  vroundps: row(x66, 3, 0x08),
  vscalefps: row(x66, 2, 0x2c, 'full', 'evex'),
  vpermilps: row(x66, 3, 0x04),
  vperm2f128: row(x66, 3, 0x06, 'whole', 'vex'),
  vshuff32x4: row(x66, 3, 0x23, 'full', 'evex'),
  vpermq: row(x66, 3, 0x00, 'full', 'both', 1),
  vpackusdw: row(x66, 2, 0x2b),
  vunpcklps: row(none, 1, 0x14),
  vunpckhps: row(none, 1, 0x15),
  vunpcklpd: row(x66, 1, 0x14, 'whole', 'both', 1),
  vunpckhpd: row(x66, 1, 0x15, 'whole', 'both', 1),
  vpermw: row(x66, 2, 0x8d, 'whole', 'evex', 1),
  vpmovzxwd: row(x66, 2, 0x33, 'half'),
  vpmovdwStore: row(xf3, 2, 0x33, 'half', 'evex'),
  vcvtneps2bf16: row(xf3, 2, 0x72, 'full', 'evex'),
  vcvtne2ps2bf16: row(xf2, 2, 0x72, 'full', 'evex'),
  vdpbf16ps: row(xf3, 2, 0x52, 'full', 'evex'),
  kmovw: row(none, 1, 0x90, 2, 'vex'),
  ldtilecfg: row(none, 2, 0x49, 1, 'vex'),
  tilezero: row(xf2, 2, 0x49, 1, 'vex'),
  tileloadd: row(xf2, 2, 0x4b, 1, 'vex'),
  tilestored: row(xf3, 2, 0x4b, 1, 'vex'),
  tdpbf16ps: row(xf3, 2, 0x5c, 1, 'vex'),
} as const satisfies Readonly<Record<string, VectorInstruction>>;

export type VectorBytes = 16 | 32 | 64;

export interface Options {
  /** Mask register k1 … k7; 0 for none. */
  readonly mask?: number;
  /** With a mask: lanes that it leaves out become 0, instead of keeping what they held. */
  readonly zeroing?: boolean;
  readonly immediate?: number;
}

const noOptions: Options = {};

function displacementUnit(unit: Unit, bytes: VectorBytes, broadcast: boolean): number {
  if (typeof unit === 'number') return unit;
  if (unit === 'full') return broadcast ? 4 : bytes;
  return unit === 'whole' ? bytes : bytes / 2;
}

/**
 * One vector instruction.
 * @param reg the ModRM register operand (usually the target)
 * @param second the operand in vvvv; 0 where the instruction has none
 * @param rm register or memory
 */
export function vector(
  encoder: Encoder,
  row: VectorInstruction,
  bytes: VectorBytes,
  reg: number,
  second: number,
  rm: number | Memory,
  options: Options = noOptions,
): void {
  const inMemory = typeof rm !== 'number';
  const evex =
    row.forms !== 'vex' &&
    (row.forms === 'evex' ||
      bytes === 64 ||
      (options.mask ?? 0) !== 0 ||
      reg > 15 ||
      second > 15 ||
      (inMemory ? rm.broadcast : rm > 15));
  if (evex) evexPrefix(encoder, row, bytes, reg, second, rm, options);
  else vexPrefix(encoder, row, bytes, reg, second, rm);
  encoder.code.u8(row.opcode);
  const unit = evex && inMemory ? displacementUnit(row.unit, bytes, rm.broadcast) : 1;
  encoder.operand(reg, rm, unit, options.immediate === undefined ? 0 : 1);
  if (options.immediate !== undefined) encoder.code.u8(options.immediate);
}

function vexPrefix(
  encoder: Encoder,
  row: VectorInstruction,
  bytes: VectorBytes,
  reg: number,
  second: number,
  rm: number | Memory,
): void {
  const code = encoder.code;
  const b = (typeof rm === 'number' ? rm : Math.max(rm.base, 0)) >> 3;
  const x = typeof rm === 'number' ? 0 : (rm.index ?? 0) >> 3;
  const notR = reg > 7 ? 0 : 0x80;
  const tail = ((~second & 15) << 3) | (bytes === 32 ? 4 : 0) | row.prefix;
  if (b === 0 && x === 0 && row.map === 1 && row.wide === 0) {
    code.u8(0xc5);
    code.u8(notR | tail);
    return;
  }
  code.u8(0xc4);
  code.u8(notR | ((x ^ 1) << 6) | ((b ^ 1) << 5) | row.map);
  code.u8((row.wide << 7) | tail);
}

function evexPrefix(
  encoder: Encoder,
  row: VectorInstruction,
  bytes: VectorBytes,
  reg: number,
  second: number,
  rm: number | Memory,
  options: Options,
): void {
  const code = encoder.code;
  const mask = options.mask ?? 0;
  const inMemory = typeof rm !== 'number';
  const b = ((inMemory ? Math.max(rm.base, 0) : rm) >> 3) & 1;
  const x = inMemory ? (rm.index ?? 0) >> 3 : rm >> 4;
  const r = (reg >> 3) & 1;
  const length = bytes === 64 ? 2 : bytes === 32 ? 1 : 0;
  code.u8(0x62);
  code.u8(((r ^ 1) << 7) | ((x ^ 1) << 6) | ((b ^ 1) << 5) | (((reg >> 4) ^ 1) << 4) | row.map);
  code.u8((row.wide << 7) | ((~second & 15) << 3) | 4 | row.prefix);
  code.u8(
    (mask !== 0 && options.zeroing ? 0x80 : 0) |
      (length << 5) |
      (inMemory && rm.broadcast ? 0x10 : 0) |
      (((second >> 4) ^ 1) << 3) |
      mask,
  );
}

/** Clears the upper halves of vector registers, so that legacy SSE code after it runs at full speed. */
export function vzeroupper(encoder: Encoder): void {
  encoder.code.u8(0xc5);
  encoder.code.u8(0xf8);
  encoder.code.u8(0x77);
}

export function tilerelease(encoder: Encoder): void {
  for (const byte of [0xc4, 0xe2, 0x78, 0x49, 0xc0]) encoder.code.u8(byte);
}
