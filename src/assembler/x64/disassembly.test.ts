/**
 * Every instruction the encoder knows, over all registers and addressing forms, read back by objdump; and a
 * sample with its bytes recorded, for machines without objdump.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createRandom, type Random } from '../../tensor/random.ts';
import { Encoder } from './encoder.ts';
import { type Memory, memory } from './operand.ts';
import { tilerelease, VECTOR, type VectorBytes, vector, vzeroupper } from './vector-encoder.ts';

const general64 = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ');
const general32 = 'eax ecx edx ebx esp ebp esi edi r8d r9d r10d r11d r12d r13d r14d r15d'.split(' ');
const wide = (register: number): string => general64[register] ?? '?';
const narrow = (register: number): string => general32[register] ?? '?';

/** What an emission should read as, in objdump's words without sizes of memory. */
interface Case {
  readonly expected: string;
  readonly emit: (encoder: Encoder) => void;
}

function hex(value: number): string {
  return value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
}

function describe(m: Memory): string {
  const index = m.index === undefined ? '' : `+${wide(m.index)}*${m.scale}`;
  const displacement = m.offset === 0 ? '' : m.offset < 0 ? hex(m.offset) : `+${hex(m.offset)}`;
  return `${m.broadcast ? 'bcst ' : ''}[${wide(m.base)}${index}${displacement}]`;
}

/** objdump's text in the form of `expected`. */
function normalize(text: string): string {
  return text
    .replace(/#.*$/, '')
    .replace(/\b(DWORD BCST |(DWORD|ZMMWORD) PTR (?=\[.*\{1to16\}))/, 'bcst ')
    .replace(/\{1to16\}/, '')
    .replace(/\b(BYTE|WORD|DWORD|QWORD|XMMWORD|YMMWORD|ZMMWORD) PTR /g, '')
    .replace(/\+0x0\]/, ']')
    .replace(/\s+/g, ' ')
    .trim();
}

const offsets = [0, 4, 8, 64, 127, 128, 508, 512, 4096, 8128, 8192, 100_000, 2 ** 31 - 1, -8, -4096];

/** Memory operands: every base, every index and scale, every offset, then a random mixture. */
function* addresses(random: Random, mixed: number): Generator<Memory> {
  for (let base = 0; base < 16; base++) yield memory(base, offsets[base % offsets.length] ?? 0);
  for (const base of [0, 4, 5, 12, 13]) for (const offset of offsets) yield memory(base, offset);
  const scales = [1, 2, 4, 8] as const;
  for (let index = 0; index < 16; index++) {
    if (index === 4) continue;
    for (const base of [0, 5, 13])
      yield { base, index, scale: scales[index % 4] ?? 1, offset: 64, broadcast: false };
  }
  for (let i = 0; i < mixed; i++) {
    const index = random.integer(16);
    yield {
      base: random.integer(16),
      index: index === 4 ? undefined : index,
      scale: scales[random.integer(4)] ?? 1,
      offset: offsets[random.integer(offsets.length)] ?? 0,
      broadcast: false,
    };
  }
}

/**
 * Mnemonic and operands of each row. R, V, M: register, vvvv and register-or-memory at full width; r: register
 * at half width; x, y: an operand at 128 bits when it is a register (x for M, y for R); m: half-width M; N: M that
 * is memory only; K: mask register; T, U, W: tiles in reg, rm, vvvv; I: immediate; 4: the immediate's register.
 */
const forms: Readonly<Record<keyof typeof VECTOR, string>> = {
  vmovups: 'vmovups R,M',
  vmovupsStore: 'vmovups N,R',
  vmovntps: 'vmovntps N,R',
  vmovaps: 'vmovaps R,M',
  vmovss: 'vmovss y,N',
  vmovssStore: 'vmovss N,y',
  vmovsd: 'vmovsd y,N',
  vmovsdStore: 'vmovsd N,y',
  vmovdqu: 'vmovdqu R,M',
  vmovdquStore: 'vmovdqu N,R',
  vmovdqu16Store: 'vmovdqu16 N,R',
  vmovd: 'vmovd y,N',
  vmovq: 'vmovq y,N',
  vmovqStore: 'vmovq N,y',
  vpinsrw: 'vpinsrw y,V,N,I',
  vpinsrd: 'vpinsrd y,V,N,I',
  vpextrw: 'vpextrw N,y,I',
  vpextrd: 'vpextrd N,y,I',
  vmaskmovps: 'vmaskmovps R,V,N',
  vmaskmovpsStore: 'vmaskmovps N,V,R',
  vbroadcastss: 'vbroadcastss R,x',
  vpbroadcastw: 'vpbroadcastw R,x',
  vaddps: 'vaddps R,V,M',
  vmulps: 'vmulps R,V,M',
  vsubps: 'vsubps R,V,M',
  vminps: 'vminps R,V,M',
  vdivps: 'vdivps R,V,M',
  vmaxps: 'vmaxps R,V,M',
  vsqrtps: 'vsqrtps R,M',
  vfmadd231ps: 'vfmadd231ps R,V,M',
  vandps: 'vandps R,V,M',
  vxorps: 'vxorps R,V,M',
  vpand: 'vpand R,V,M',
  vpxor: 'vpxor R,V,M',
  vpaddd: 'vpaddd R,V,M',
  vpshiftd: 'vpslld V,S,I',
  vcmpps: 'vcmpgt_oqps R,V,M',
  vblendvps: 'vblendvps R,V,M,4',
  vblendmps: 'vblendmps R,V,M',
  vroundps: 'vroundps R,M,I',
  vscalefps: 'vscalefps R,V,M',
  vpermilps: 'vpermilps R,M,I',
  vperm2f128: 'vperm2f128 R,V,M,I',
  vshuff32x4: 'vshuff32x4 R,V,M,I',
  vpermq: 'vpermq R,M,I',
  vpackusdw: 'vpackusdw R,V,M',
  vunpcklps: 'vunpcklps R,V,M',
  vunpckhps: 'vunpckhps R,V,M',
  vunpcklpd: 'vunpcklpd R,V,M',
  vunpckhpd: 'vunpckhpd R,V,M',
  vpermw: 'vpermw R,V,M',
  vpmovzxwd: 'vpmovzxwd R,m',
  vpmovdwStore: 'vpmovdw N,R',
  vcvtneps2bf16: 'vcvtneps2bf16 r,M',
  vcvtne2ps2bf16: 'vcvtne2ps2bf16 R,V,M',
  vdpbf16ps: 'vdpbf16ps R,V,M',
  kmovw: 'kmovw K,N',
  ldtilecfg: 'ldtilecfg N',
  tilezero: 'tilezero T',
  tileloadd: 'tileloadd T,B',
  tilestored: 'tilestored B,T',
  tdpbf16ps: 'tdpbf16ps T,U,W',
};
const evexNames: Readonly<Record<string, string>> = {
  vpand: 'vpandd',
  vpxor: 'vpxord',
  vroundps: 'vrndscaleps',
};
const only128 = /[yK]|^ldtilecfg|[TB]/;
const only256 = new Set(['vperm2f128', 'vpermq']);
const noBroadcast = /N|m|x|^vmov|^vperm[qw]|^vpackusdw|^vunpck[lh]pd/;

const vectorName = (bytes: number, register: number): string =>
  `${bytes === 64 ? 'z' : bytes === 32 ? 'y' : 'x'}mm${register}`;

function widths(key: keyof typeof VECTOR): VectorBytes[] {
  const row = VECTOR[key];
  if (only128.test(forms[key].split(' ')[1] ?? '') || key === 'ldtilecfg') return [16];
  if (only256.has(key)) return key === 'vpermq' ? [32, 64] : [32];
  if (key === 'vshuff32x4') return [32, 64];
  return row.forms === 'vex' ? [16, 32] : [16, 32, 64];
}

interface Operands {
  readonly bytes: VectorBytes;
  readonly reg: number;
  readonly second: number;
  readonly rm: number | Memory;
  readonly mask: number;
}

function vectorCase(key: keyof typeof VECTOR, o: Operands): Case {
  const [name = '', pattern = ''] = forms[key].split(' ');
  const immediate = pattern.includes('4')
    ? 0xd0
    : key === 'vcmpps'
      ? 0x1e
      : pattern.includes('I')
        ? 1
        : undefined;
  const shift = key === 'vpshiftd';
  const reg = shift ? 6 : o.reg;
  const inMemory = typeof o.rm === 'object';
  const mask = o.mask === 0 ? '' : `{k${o.mask}}`;
  const zeroing = mask !== '' && !/^[NKB]/.test(pattern) && key !== 'vcmpps';
  const rm = (bytes: number): string => (typeof o.rm === 'object' ? describe(o.rm) : vectorName(bytes, o.rm));
  const texts: Readonly<Record<string, () => string>> = {
    R: () => (key === 'vcmpps' && usesEvex(key, o) ? `k${reg}` : vectorName(o.bytes, reg)),
    V: () => vectorName(o.bytes, o.second),
    M: () => rm(o.bytes),
    S: () => rm(o.bytes),
    N: () => rm(o.bytes),
    r: () => vectorName(o.bytes === 64 ? 32 : 16, reg),
    x: () => rm(16),
    y: () => vectorName(16, reg),
    m: () => rm(o.bytes / 2),
    K: () => `k${reg}`,
    T: () => `tmm${reg}`,
    U: () => `tmm${typeof o.rm === 'number' ? o.rm : 0}`,
    W: () => `tmm${o.second}`,
    B: () => rm(0),
    I: () => '0x1',
    4: () => vectorName(o.bytes, 13),
  };
  const [first = '', ...rest] = pattern.split(',').map((code) => texts[code]?.() ?? '?');
  const masked = `${first}${mask}${zeroing ? '{z}' : ''}`;
  const mnemonic = usesEvex(key, o) ? (evexNames[name] ?? name) : name;
  const extra = inMemory && key === 'vcvtneps2bf16' ? '' : '';
  return {
    expected: `${mnemonic}${extra} ${[masked, ...rest].join(',')}`,
    emit: (encoder) =>
      vector(encoder, VECTOR[key], o.bytes, reg, o.second, o.rm, {
        mask: o.mask,
        zeroing,
        ...(immediate === undefined ? {} : { immediate }),
      }),
  };
}

function usesEvex(key: keyof typeof VECTOR, o: Operands): boolean {
  const row = VECTOR[key];
  if (row.forms !== 'both') return row.forms === 'evex';
  const high = [o.reg, o.second, typeof o.rm === 'number' ? o.rm : 0].some((register) => register > 15);
  return o.bytes === 64 || o.mask !== 0 || high || (typeof o.rm === 'object' && o.rm.broadcast);
}

function* vectorCases(random: Random): Generator<Case> {
  for (const key of Object.keys(VECTOR) as (keyof typeof VECTOR)[]) {
    const row = VECTOR[key];
    const pattern = forms[key].split(' ')[1] ?? '';
    const memoryOnly = /[NB]/.test(pattern);
    const hasSecond = /[VW]/.test(pattern);
    for (const bytes of widths(key)) {
      const tile = /T/.test(pattern);
      const limit = tile || pattern.startsWith('K') ? 8 : row.forms === 'vex' ? 16 : 32;
      const isCompare = key === 'vcmpps';
      const operands = (rm: number | Memory, i: number): Operands => {
        const evexOnly = bytes === 64;
        const reg =
          key === 'ldtilecfg' ? 0 : isCompare && evexOnly ? 1 + (i % 7) : i % (isCompare ? 16 : limit);
        const second = hasSecond ? (i * 5 + 3) % (isCompare && !evexOnly ? 16 : limit) : 0;
        return { bytes, reg, second, rm, mask: 0 };
      };
      if (!memoryOnly) {
        const registers = isCompare && bytes < 64 ? 16 : limit;
        for (let i = 0; i < registers; i++) {
          const distinct = tile
            ? { ...operands((i + 1) % 8, i), second: (i + 2) % 8 }
            : operands(i, i * 7 + 1);
          yield vectorCase(key, key === 'tilezero' ? { ...distinct, rm: 0, second: 0 } : distinct);
          if (!isCompare && key !== 'tilezero') yield vectorCase(key, { ...distinct, reg: i });
        }
      }
      if (tile && !pattern.includes('B')) continue;
      if (key === 'vpshiftd' && bytes < 64) continue; // VEX shifts by a constant take no memory
      let i = 0;
      for (const address of addresses(random, 40)) {
        if (pattern.includes('B') && address.index === undefined) continue;
        yield vectorCase(key, operands(address, i++));
        if (bytes === 64 && row.unit === 'full' && !noBroadcast.test(forms[key]))
          yield vectorCase(key, operands({ ...address, broadcast: true }, i++));
        if (bytes === 64 && key !== 'vblendmps')
          yield vectorCase(key, { ...operands(address, i++), mask: 1 + (i % 7) });
      }
      if (key === 'vblendmps')
        for (let k = 1; k < 8; k++) yield vectorCase(key, { ...operands(k + 8, k), mask: k });
    }
  }
}

function* integerCases(random: Random): Generator<Case> {
  for (let a = 0; a < 16; a++) {
    for (let b = 0; b < 16; b++) {
      if (a !== b) yield { expected: `mov ${wide(a)},${wide(b)}`, emit: (e) => e.move(a, b) };
      yield { expected: `add ${wide(a)},${wide(b)}`, emit: (e) => e.arithmetic('add', a, b) };
      yield { expected: `sub ${wide(a)},${wide(b)}`, emit: (e) => e.arithmetic('subtract', a, b) };
      yield { expected: `cmp ${wide(a)},${wide(b)}`, emit: (e) => e.arithmetic('compare', a, b) };
      yield { expected: `test ${wide(a)},${wide(b)}`, emit: (e) => e.test(a, b) };
      yield { expected: `imul ${wide(a)},${wide(b)},0x18`, emit: (e) => e.multiplyConstant(a, b, 24) };
      yield { expected: `imul ${wide(a)},${wide(b)},0x3e8`, emit: (e) => e.multiplyConstant(a, b, 1000) };
    }
    yield { expected: `xor ${narrow(a)},${narrow(a)}`, emit: (e) => e.constant(a, 0) };
    yield { expected: `mov ${narrow(a)},0xfffffffe`, emit: (e) => e.constant(a, 2 ** 32 - 2) };
    yield { expected: `mov ${wide(a)},0xfffffffffffffff9`, emit: (e) => e.constant(a, -7) };
    yield { expected: `movabs ${wide(a)},0x123456789abc`, emit: (e) => e.constant(a, 0x123456789abc) };
    yield { expected: `movabs ${wide(a)},0xfffffffeffffffff`, emit: (e) => e.constant(a, -(2 ** 32) - 1) };
    yield { expected: `add ${wide(a)},0x7f`, emit: (e) => e.arithmeticConstant('add', a, 127) };
    yield { expected: `add ${wide(a)},0x80`, emit: (e) => e.arithmeticConstant('add', a, 128) };
    yield {
      expected: `cmp ${wide(a)},0xffffffffffffffff`,
      emit: (e) => e.arithmeticConstant('compare', a, -1),
    };
    yield { expected: `shr ${wide(a)},0x20`, emit: (e) => e.shiftRight(a, 32) };
    yield { expected: `push ${wide(a)}`, emit: (e) => e.push(a) };
    yield { expected: `pop ${wide(a)}`, emit: (e) => e.pop(a) };
    yield { expected: `call ${wide(a)}`, emit: (e) => e.call(a) };
  }
  let i = 0;
  for (const m of addresses(random, 100)) {
    const r = i++ % 16;
    const text = describe(m);
    yield { expected: `mov ${wide(r)},${text}`, emit: (e) => e.load(r, m) };
    yield { expected: `mov ${narrow(r)},${text}`, emit: (e) => e.load32(r, m) };
    yield { expected: `movsxd ${wide(r)},${text}`, emit: (e) => e.loadSigned32(r, m) };
    yield { expected: `mov ${text},${wide(r)}`, emit: (e) => e.store(m, r) };
    yield { expected: `mov ${text},${narrow(r)}`, emit: (e) => e.store32(m, r) };
    yield { expected: `lea ${wide(r)},${text}`, emit: (e) => e.address(r, m) };
    yield { expected: `cmp ${wide(r)},${text}`, emit: (e) => e.arithmeticMemory('compare', r, m) };
    yield { expected: `add ${wide(r)},${text}`, emit: (e) => e.arithmeticMemory('add', r, m) };
    yield { expected: `call ${text}`, emit: (e) => e.call(m) };
    yield { expected: `prefetcht0 ${text}`, emit: (e) => e.prefetch(m) };
    yield { expected: `prefetcht1 ${text}`, emit: (e) => e.prefetch(m, 1) };
    yield { expected: `lock xadd ${text},${narrow(r)}`, emit: (e) => e.lockExchangeAdd(m, r, 0) };
    yield { expected: `lock cmpxchg ${text},${wide(r)}`, emit: (e) => e.lockCompareExchange(m, r) };
    yield { expected: `lock add ${text},0xffffffff`, emit: (e) => e.lockAdd32(m, -1) };
    yield { expected: `xchg ${text},${wide(r)}`, emit: (e) => e.exchange(m, r) };
    yield { expected: `cmp ${text},0x0`, emit: (e) => e.arithmeticConstant('compare', m, 0, 0) };
  }
  yield { expected: 'sfence', emit: (e) => e.storeFence() };
  yield { expected: 'ret', emit: (e) => e.return() };
  yield { expected: 'pause', emit: (e) => e.pause() };
  yield { expected: 'syscall', emit: (e) => e.syscall() };
  yield { expected: 'cpuid', emit: (e) => e.cpuid() };
  yield { expected: 'rdtsc', emit: (e) => e.rdtsc() };
  yield { expected: 'xgetbv', emit: (e) => e.xgetbv() };
  yield { expected: 'vzeroupper', emit: (e) => vzeroupper(e) };
  yield { expected: 'tilerelease', emit: (e) => tilerelease(e) };
}

/** Disassembles code; one line for each instruction, with its address. */
function disassemble(code: Uint8Array): { address: number; text: string }[] {
  const folder = mkdtempSync(join(tmpdir(), 'mobileone-'));
  try {
    const file = join(folder, 'code.bin');
    writeFileSync(file, code);
    const args = ['-D', '-b', 'binary', '-m', 'i386:x86-64', '-M', 'intel', '--no-show-raw-insn', '-w', file];
    const text = execFileSync('objdump', args, { encoding: 'utf8', maxBuffer: 1 << 28 });
    return [...text.matchAll(/^\s*([0-9a-f]+):\t(.*)$/gm)].map((match) => ({
      address: Number.parseInt(match[1] ?? '', 16),
      text: match[2] ?? '',
    }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function missingObjdump(): false | string {
  try {
    execFileSync('objdump', ['--version'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'objdump (binutils) is not installed';
  }
}

function checkCases(cases: Iterable<Case>): void {
  const encoder = new Encoder();
  const starts: number[] = [];
  const expected: string[] = [];
  for (const one of cases) {
    starts.push(encoder.code.length);
    expected.push(one.expected);
    one.emit(encoder);
  }
  const found = new Map(
    disassemble(encoder.code.view()).map(({ address, text }) => [address, normalize(text)]),
  );
  for (const [i, start] of starts.entries()) assert.equal(found.get(start), expected[i]);
  assert.equal(found.size, starts.length, 'objdump saw another number of instructions');
  for (const [i, start] of starts.entries()) assert.equal(found.get(start), expected[i]);
  assert.ok(starts.length > 1000);
}

const vectors = (): Iterable<Case> => vectorCases(createRandom(1));
const integers = (): Iterable<Case> => integerCases(createRandom(2));

test('vector instructions disassemble to themselves', { skip: missingObjdump() }, () =>
  checkCases(vectors()),
);

test('integer instructions disassemble to themselves', { skip: missingObjdump() }, () =>
  checkCases(integers()),
);

/** Of code that objdump has read back as it should; a change that objdump agrees with changes these. */
const recorded = {
  vectors: '3aecfe2c05e65118c95843d601bad81bdcca534aa5face4edb5a37361f2d57a7',
  integers: '67da27b986c2b0021b8f0ab0526b1d16d45aa604e710390576f02178d2038263',
};

test('all instructions have the bytes that were once read back', () => {
  for (const [name, cases] of [
    ['vectors', vectors()],
    ['integers', integers()],
  ] as const) {
    const encoder = new Encoder();
    for (const one of cases) one.emit(encoder);
    const hash = createHash('sha256').update(encoder.code.view()).digest('hex');
    assert.equal(hash, recorded[name], name);
  }
});

const samples: readonly (readonly [text: string, bytes: string, emit: (e: Encoder) => void])[] = [
  ['mov rax,[r13+0x0]', '498b4500', (e) => e.load(0, memory(13))],
  [
    'lea r9,[r12+r8*8+0x10]',
    '4f8d4cc410',
    (e) => e.address(9, { base: 12, index: 8, scale: 8, offset: 16, broadcast: false }),
  ],
  ['vaddps ymm1,ymm2,ymm11', 'c4c16c58cb', (e) => vector(e, VECTOR.vaddps, 32, 1, 2, 11)],
  [
    'vfmadd231ps ymm3,ymm4,[rax+0x20]',
    'c4e25db85820',
    (e) => vector(e, VECTOR.vfmadd231ps, 32, 3, 4, memory(0, 32)),
  ],
  [
    'vfmadd231ps zmm31,zmm17,[r15+0x200]',
    '62427540b87f08',
    (e) => vector(e, VECTOR.vfmadd231ps, 64, 31, 17, memory(15, 512)),
  ],
  [
    'vfmadd231ps zmm0,zmm30,[rdi+0x1fc]{1to16}',
    '62f20d50b8477f',
    (e) => vector(e, VECTOR.vfmadd231ps, 64, 0, 30, { ...memory(7, 508), broadcast: true }),
  ],
  [
    'vmovups zmm5{k2}{z},[rsp+0x40]',
    '62f17cca106c2401',
    (e) => vector(e, VECTOR.vmovups, 64, 5, 0, memory(4, 64), { mask: 2, zeroing: true }),
  ],
  ['vcvtneps2bf16 ymm6,zmm22', '62b27e4872f6', (e) => vector(e, VECTOR.vcvtneps2bf16, 64, 6, 0, 22)],
  ['vdpbf16ps zmm8,zmm9,zmm10', '6252364852c2', (e) => vector(e, VECTOR.vdpbf16ps, 64, 8, 9, 10)],
  ['tdpbf16ps tmm1,tmm2,tmm3', 'c4e2625cca', (e) => vector(e, VECTOR.tdpbf16ps, 16, 1, 3, 2)],
  [
    'tileloadd tmm4,[rsi+rax*1+0x400]',
    'c4e27b4ba40600040000',
    (e) =>
      vector(e, VECTOR.tileloadd, 16, 4, 0, { base: 6, index: 0, scale: 1, offset: 1024, broadcast: false }),
  ],
];

test('some instructions have these bytes', () => {
  for (const [text, bytes, emit] of samples) {
    const encoder = new Encoder();
    emit(encoder);
    assert.equal(Buffer.from(encoder.code.view()).toString('hex'), bytes, text);
  }
});
