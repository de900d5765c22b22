/** Started by the suite `first`: from nothing to the first logits of S0, in milliseconds, as JSON. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface FirstJob {
  readonly kind: 'mobileone' | 'onnxruntime-node';
  readonly folder: string;
  readonly target: string;
}

export interface FirstAnswer {
  readonly import: number;
  /** Reading weights from disk. */
  readonly read: number;
  readonly compile: number;
  readonly run: number;
}

const side = 224;
const pixels = new Float32Array(side * side * 3).fill(0.5);

/** @returns a function that gives the milliseconds since its last call */
function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const passed = now - last;
    last = now;
    return passed;
  };
}

async function ours({ folder, target }: FirstJob): Promise<FirstAnswer> {
  const lap = stopwatch();
  // The package as a user imports it, then the engine that it picks.
  const { buildMobileOne, mobileOneConfig, memorySource, nodePlatform, readCheckpoint, readWeights } =
    await import('mobileone');
  const engine = await nodePlatform().engine();
  const imported = lap();
  const bytes = readFileSync(join(folder, 's0.safetensors'));
  const { weights } = await readWeights(await readCheckpoint(memorySource(bytes, 's0')));
  const read = lap();
  const graph = buildMobileOne(mobileOneConfig('s0'), { form: 'deploy' });
  const session = await engine.compile(graph, weights, { threads: 1, target });
  const compile = lap();
  await session.run({ image: { shape: [1, side, side, 3], data: pixels } });
  return { import: imported, read, compile, run: lap() };
}

async function onnxruntime({ folder }: FirstJob): Promise<FirstAnswer> {
  const lap = stopwatch();
  const ort = await import('onnxruntime-node');
  const imported = lap();
  const model = readFileSync(join(folder, 's0.onnx'));
  const read = lap();
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1 });
  const compile = lap();
  await session.run({ input: new ort.Tensor('float32', pixels, [1, 3, side, side]) });
  return { import: imported, read, compile, run: lap() };
}

const job: FirstJob = JSON.parse(process.argv[2] ?? '{}');
console.log(JSON.stringify(await (job.kind === 'mobileone' ? ours(job) : onnxruntime(job))));
process.exit(0);
