/** What this processor can do, asked by emitted code. */
import { type CpuFeatures, decodeCpuid } from '../../assembler/x64/cpuid.ts';
import { CPUID_BYTES, emitCpuid, emitRequestTiles } from '../../assembler/x64/system-code.ts';
import type { SystemMemory } from './executable-memory.ts';

/** Reads cpuid and, where the processor has AMX, asks the system for its use. */
export function readCpuFeatures(memory: SystemMemory): CpuFeatures {
  const answers = memory.allocate(CPUID_BYTES);
  try {
    runOnce(memory, emitCpuid(memory.convention), answers.address);
    const words = new Uint32Array(answers.buffer, 0, CPUID_BYTES / 4).slice();
    const granted = decodeCpuid(words, false).amxPresent && requestTiles(memory);
    return decodeCpuid(words, granted);
  } finally {
    answers.free();
  }
}

/** AMX state is large, so Linux hands it out on request, once for the process and its later threads. */
function requestTiles(memory: SystemMemory): boolean {
  return process.platform === 'linux' && runOnce(memory, emitRequestTiles(), 0) === 0;
}

function runOnce(memory: SystemMemory, code: Uint8Array, argument: number): number {
  const pages = memory.execute(code);
  try {
    return memory.invoke(pages.address, argument, 0);
  } finally {
    pages.free();
  }
}
