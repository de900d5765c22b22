/** Started by the suite `memory` with --expose-gc: what one engine holds for S0 at batch 1, in bytes, as JSON. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { modelFiles } from './adapters/adapter.ts';

export interface MemoryJob {
  readonly kind: 'mobileone' | 'onnxruntime-node';
  readonly folder: string;
  readonly target: string;
  readonly threads: number;
  readonly runs: number;
  readonly cycles: number;
}

export interface MemoryUse {
  /** Resident before compiling: the runtime, the engine's modules, weights and one picture. */
  readonly before: number;
  /** Most resident from compiling to the end of all runs. */
  readonly peak: number;
  /** After each tenth of the runs. */
  readonly afterRuns: readonly number[];
  /** After each tenth of the compile/dispose cycles. */
  readonly afterCycles: readonly number[];
  /** What the engine says it holds, where it says so. */
  readonly stated: number | undefined;
}

interface Opened {
  readonly run: () => Promise<unknown>;
  readonly close: () => Promise<void>;
  readonly stated: number | undefined;
}

type Open = () => Promise<Opened>;

/** Everything up to compiling. */
async function prepareOurs({ folder, target, threads }: MemoryJob): Promise<Open> {
  const { nodeCpuEngine } = await import('../src/platform/node/cpu-engine.ts');
  const { readBenchWeights } = await import('./adapters/mobileone.ts');
  const { benchGraph, imageName, benchImages } = await import('./net.ts');
  const engine = await nodeCpuEngine();
  const weights = await readBenchWeights(folder, 's0');
  const [graph, image] = [benchGraph('s0', 1), benchImages(1)];
  return async () => {
    const session = await engine.compile(graph, weights, { threads, target });
    return {
      run: () => session.run({ [imageName]: image }),
      close: async () => session.dispose(),
      stated: session.info?.memoryBytes,
    };
  };
}

async function prepareOnnxruntime({ folder, threads }: MemoryJob): Promise<Open> {
  const ort = await import('onnxruntime-node');
  const { openSession } = await import('./adapters/onnxruntime-node.ts');
  const { channelsFirst, benchImages } = await import('./net.ts');
  const model = readFileSync(join(folder, modelFiles.onnx('s0')));
  const { shape, data } = channelsFirst(benchImages(1));
  return async () => {
    const session = await openSession(model, threads);
    return {
      run: () => session.run({ input: new ort.Tensor('float32', data, shape) }),
      close: () => session.release(),
      stated: undefined,
    };
  };
}

function residentBytes(word: 'VmRSS' | 'VmHWM'): number {
  const line = new RegExp(`^${word}:\\s*(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'));
  return 1024 * Number(line?.[1]);
}

/** Collects garbage and lets what it frees go back to the system. */
async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await pause(30);
  }
}

/** Ten times a tenth of them. @returns resident bytes after each tenth */
async function repeat(times: number, once: () => Promise<unknown>): Promise<readonly number[]> {
  const marks: number[] = [];
  for (let mark = 0; mark < 10; mark++) {
    for (let i = 0; i < times / 10; i++) await once();
    await settle();
    marks.push(residentBytes('VmRSS'));
  }
  return marks;
}

async function measure(job: MemoryJob): Promise<MemoryUse> {
  const open = await (job.kind === 'mobileone' ? prepareOurs(job) : prepareOnnxruntime(job));
  await settle();
  const before = residentBytes('VmRSS');
  writeFileSync('/proc/self/clear_refs', '5'); // VmHWM starts again from what is resident now, proc(5)
  const opened = await open();
  const afterRuns = await repeat(job.runs, opened.run);
  const peak = residentBytes('VmHWM');
  await opened.close();
  const afterCycles = await repeat(job.cycles, async () => {
    const again = await open();
    await again.run();
    await again.close();
  });
  return { before, peak, afterRuns, afterCycles, stated: opened.stated };
}

const job: MemoryJob = JSON.parse(process.argv[2] ?? '{}');
console.log(JSON.stringify(await measure(job)));
process.exit(0);
