/**
 * The most that one thread can do with an instruction set, GFLOP/s: multiply-adds on registers, nothing from
 * memory. `node dist/bench/peak.js NAME` prints one number; `measurePeaks` runs as many at once as there are threads.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Machine } from '../src/assembler/machine.ts';
import { at, type Tile, type VectorAssembler } from '../src/assembler/vector-assembler.ts';
import { createWasmMachine } from '../src/assembler/wasm/wasm-machine.ts';
import { nodeWasmFeatures } from '../src/platform/node/cpu-features-wasm.ts';
import { createNativeMachine, nativeSupport } from '../src/platform/node/executable-memory-machine.ts';
import type { Peaks } from './report.ts';
import { type Roof, roofs } from './rows.ts';
import { timingOf } from './statistics.ts';

const repeats = 20_000;
const slices = 40;

/** @returns the machine, or why there is none */
async function machineFor(roof: Roof): Promise<Machine | string> {
  if (roof === 'wasm' || roof === 'wasm-relaxed') {
    const relaxed = roof === 'wasm-relaxed';
    const { simd, relaxedSimd } = nodeWasmFeatures();
    return (relaxed ? relaxedSimd : simd) ? createWasmMachine({ relaxed, shared: false }) : `no ${roof} here`;
  }
  const support = await nativeSupport();
  if (!support.available) return support.reason;
  if (roof !== 'avx2' && !support.cpu.avx512) return 'no AVX-512 here';
  const machine = createNativeMachine(support, { target: roof === 'avx2' ? 'avx2' : 'avx512' });
  return roof === 'amx' && !machine.target.features.has('tiles') ? 'no AMX here' : machine;
}

/** Sums on as many registers as hide the latency of one. @returns flops of one call */
function emitSums(a: VectorAssembler): number {
  const vecs = Array.from({ length: a.target.vectorRegisters > 16 ? 24 : 12 }, () => a.newVec());
  const factor = a.newVec();
  a.constant(factor, 1e-6);
  for (const vec of vecs) a.constant(vec, 1);
  a.loop(repeats, () => {
    for (const vec of vecs) a.fma(vec, vec, factor);
  });
  // Stored, so that a compiler finds nothing to leave out.
  const output = a.slot(1);
  for (const [i, vec] of vecs.entries()) a.store(at(output, 4 * a.target.lanes * i), vec);
  a.freeInt(output);
  a.freeVec(factor, ...vecs);
  return repeats * vecs.length * a.target.lanes * 2;
}

/** 16 × 32 by 32 × 16 bf16 products into four sums. */
function emitTiles(a: VectorAssembler): number {
  const { tiles } = a;
  if (tiles === undefined) return 0;
  const sums: readonly Tile[] = [0, 1, 2, 3];
  tiles.configure(Array.from({ length: 8 }, () => ({ rows: 16, rowBytes: 64 })));
  for (const tile of [...sums, 4, 5, 6, 7] as const) tiles.zero(tile);
  a.loop(repeats, () => {
    tiles.dotBf16(0, 4, 6);
    tiles.dotBf16(1, 4, 7);
    tiles.dotBf16(2, 5, 6);
    tiles.dotBf16(3, 5, 7);
  });
  tiles.release();
  return repeats * sums.length * 16 * 16 * 32 * 2;
}

async function measure(roof: Roof): Promise<number | string> {
  const machine = await machineFor(roof);
  if (typeof machine === 'string') return machine;
  const builder = machine.builder();
  let flops = 0;
  const kernel = builder.kernel('peak', (a) => {
    flops = roof === 'amx' ? emitTiles(a) : emitSums(a);
  });
  const code = machine.load(builder);
  const record = machine.allocate(64);
  const output = machine.allocate(24 * 64);
  const slots = record.view(0, 64);
  new DataView(slots.buffer, slots.byteOffset).setBigUint64(8, BigInt(output.address), true);
  const times: number[] = [];
  for (let i = 0; i < slices; i++) {
    const start = performance.now();
    code.call(kernel, record.address);
    times.push(performance.now() - start);
  }
  return flops / timingOf(times).p10 / 1e6;
}

/** Peaks of every instruction set here, at 1 and 2 threads; those that are not here are absent. */
export async function measurePeaks(): Promise<Peaks> {
  const peaks: Partial<Record<Roof, Record<number, number>>> = {};
  for (const roof of roofs)
    for (const threads of [1, 2]) {
      const file = fileURLToPath(import.meta.url);
      const runs = Array.from({ length: threads }, () => promisify(execFile)(process.execPath, [file, roof]));
      const found = (await Promise.all(runs)).map(({ stdout }) => Number.parseFloat(stdout));
      if (found.every(Number.isFinite))
        peaks[roof] = { ...peaks[roof], [threads]: found.reduce((a, b) => a + b, 0) };
    }
  return peaks;
}

const wanted = roofs.find((roof) => roof === process.argv[2]);
if (process.argv[1] === fileURLToPath(import.meta.url) && wanted !== undefined)
  console.log(await measure(wanted));
