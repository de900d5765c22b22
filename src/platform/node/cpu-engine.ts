/** The CPU engine in Node: native code where the system allows it, WebAssembly otherwise, worker threads. */

import { freemem } from 'node:os';
import { constrainedMemory } from 'node:process';
import { type CpuEngineParts, createCpuEngine } from '../../engine/cpu/cpu-engine.ts';
import { lowerTraining } from '../../engine/cpu/lower-training.ts';
import type { MachineProvider } from '../../engine/cpu/machine-provider.ts';
import type { ThreadPool } from '../../engine/cpu/thread-pool.ts';
import type { Engine } from '../../engine/engine.ts';
import { bf16Convolutions } from '../../kernel/bf16/inference/bf16-convolution.ts';
import { bf16Products } from '../../kernel/bf16/training/bf16-products.ts';
import { wasmProviders } from '../wasm-provider.ts';
import { nodeWasmFeatures } from './cpu-features-wasm.ts';
import { createNativeMachine, type NativeSupport, nativeSupport } from './executable-memory-machine.ts';
import { openThreadPlacement } from './thread-placement.ts';
import { createNodeThreadPool } from './threads.ts';

let parts: Promise<CpuEngineParts> | undefined;
let engine: Promise<Engine> | undefined;

/** One engine, and one pool of threads, for this thread of JavaScript. */
export function nodeCpuEngine(): Promise<Engine> {
  engine ??= nodeCpuParts().then(createCpuEngine);
  return engine;
}

/** What the engine is made of. */
export function nodeCpuParts(): Promise<CpuEngineParts> {
  parts ??= compose();
  return parts;
}

async function compose(): Promise<CpuEngineParts> {
  const support = await nativeSupport();
  const pool: ThreadPool = support.available
    ? createNodeThreadPool(support.memory.invokeAddress, await openThreadPlacement())
    : createNodeThreadPool(undefined);
  const bf16 = { bf16: bf16Convolutions, rounded: bf16Products };
  return { machines: nodeMachines(support), pool, training: lowerTraining, ...bf16 };
}

/** Machines of this process, the fastest first. */
export function nodeMachines(support: NativeSupport): readonly MachineProvider[] {
  return [...(support.available ? nativeProviders(support) : []), ...wasmProviders(nodeWasmFeatures())];
}

function nativeProviders(support: Extract<NativeSupport, { available: true }>): readonly MachineProvider[] {
  const names = support.cpu.avx512 ? (['avx512', 'avx2'] as const) : (['avx2'] as const);
  return names.map((target) => ({
    target: createNativeMachine(support, { target }).target,
    // What the system could give now; more would be granted too, and end the process when it is used.
    get maximumBytes() {
      return Math.min(freemem(), constrainedMemory() || Number.POSITIVE_INFINITY);
    },
    canShare: true,
    create: () => createNativeMachine(support, { target }),
  }));
}
