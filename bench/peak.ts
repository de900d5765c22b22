/**
 * The most that one thread can do with an instruction set, GFLOP/s: multiply-adds on registers, nothing from
 * memory. `node dist/bench/peak.js NAME` prints one number; `measurePeaks` runs as many at once as there are threads.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Machine } from '../src/assembler/machine.ts';
import { createWasmMachine } from '../src/assembler/wasm/wasm-machine.ts';
import { nodeWasmFeatures } from '../src/platform/node/cpu-features-wasm.ts';
import { createNativeMachine, nativeSupport } from '../src/platform/node/executable-memory-machine.ts';
import { loadPeak } from './kernel-machine.ts';
import type { Peaks } from './report.ts';
import { type Roof, roofs } from './rows.ts';
import { timingOf } from './statistics.ts';

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

async function measure(roof: Roof): Promise<number | string> {
  const machine = await machineFor(roof);
  if (typeof machine === 'string') return machine;
  const peak = loadPeak(machine, roof === 'amx' ? 'tiles' : 'fma');
  const times: number[] = [];
  for (let i = 0; i < slices; i++) {
    const start = performance.now();
    peak.run();
    times.push(performance.now() - start);
  }
  return peak.flops / timingOf(times).p10 / 1e6;
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
