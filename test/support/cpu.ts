/** The CPU engine with every target of this process, and a pool of its own. */
import { createCpuEngine } from '../../src/engine/cpu/cpu-engine.ts';
import { lowerTraining } from '../../src/engine/cpu/lower-training.ts';
import { bf16Convolutions } from '../../src/kernel/bf16/inference/bf16-convolution.ts';
import { bf16Products } from '../../src/kernel/bf16/training/bf16-products.ts';
import { nodeMachines } from '../../src/platform/node/cpu-engine.ts';
import { nativeSupport } from '../../src/platform/node/executable-memory-machine.ts';
import { openThreadPlacement } from '../../src/platform/node/thread-placement.ts';
import { createNodeThreadPool } from '../../src/platform/node/threads.ts';

const support = await nativeSupport();
const machines = nodeMachines(support);

export const pool = support.available
  ? createNodeThreadPool(support.memory.invokeAddress, await openThreadPlacement())
  : createNodeThreadPool(undefined);
export const engine = createCpuEngine({
  machines,
  pool,
  training: lowerTraining,
  bf16: bf16Convolutions,
  rounded: bf16Products,
});
export const targets = ['avx512', 'avx2', 'wasm-relaxed', 'wasm'] as const;

export function skipTarget(target: string): string | false {
  return machines.some((machine) => machine.target.name === target)
    ? false
    : `target ${target} is not to be had here`;
}
