import { readFile } from 'node:fs/promises';
import { arch, availableParallelism, cpus, freemem, release, totalmem } from 'node:os';

/** The vector instructions that matter to nets, as Linux names them. */
const telling =
  /^(sse4_2|avx|avx2|fma|f16c|avx512(f|bw|vl|vnni|_vnni|_bf16|_fp16)|avx_vnni|amx_(tile|int8|bf16|fp16)|asimd|asimddp|asimdhp|sve2?|bf16|i8mm)$/;

export interface MachineFacts {
  readonly system: string;
  readonly cpu: string;
  /** Empty where the system does not say. */
  readonly cpuFeatures: readonly string[];
  readonly cores: number;
  /** Cores this process may use. */
  readonly usableCores: number;
  readonly memoryBytes: number;
  readonly freeMemoryBytes: number;
}

export async function machineFacts(): Promise<MachineFacts> {
  const all = cpus();
  return {
    system: `${process.platform} ${release()}, ${arch()}`,
    cpu: all[0]?.model.trim() || 'unknown',
    cpuFeatures: await linuxCpuFlags(),
    cores: all.length,
    usableCores: availableParallelism(),
    memoryBytes: totalmem(),
    freeMemoryBytes: freemem(),
  };
}

async function linuxCpuFlags(): Promise<readonly string[]> {
  const text = await readFile('/proc/cpuinfo', 'utf8').catch(() => '');
  const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(text)?.[1] ?? '';
  return flags
    .split(/\s+/)
    .filter((flag) => telling.test(flag))
    .sort();
}
