/** Every machine that can run emitted code here, for tests that run on all of them. */
import type { Machine, MachineMemory } from '../../src/assembler/machine.ts';
import { PAGE_BYTES } from '../../src/assembler/wasm/module.ts';
import { createWasmMachine } from '../../src/assembler/wasm/wasm-machine.ts';
import { nodeWasmFeatures } from '../../src/platform/node/cpu-features-wasm.ts';
import {
  createNativeMachine,
  type NativeMachineOptions,
  nativeSupport,
} from '../../src/platform/node/executable-memory-machine.ts';

export interface GuardedMemory {
  readonly address: number;
  readonly view: Uint8Array;
  free(): void;
}

export interface TestMachine {
  readonly name: string;
  readonly machine: Machine;
  /** Memory whose first byte beyond the end faults. */
  guarded(bytes: number): GuardedMemory;
}

/** A machine, or why there is none here. */
export type MaybeMachine =
  | { readonly name: string; readonly skip: false; readonly make: () => TestMachine }
  | { readonly name: string; readonly skip: string };

const nativeVariants: readonly (readonly [string, NativeMachineOptions])[] = [
  ['avx512', {}],
  ['avx512 without tiles', { target: 'avx512', without: ['tiles'] }],
  ['avx512 without bf16', { target: 'avx512', without: ['bf16', 'tiles'] }],
  ['avx2', { target: 'avx2' }],
];

export async function allMachines(): Promise<readonly MaybeMachine[]> {
  const support = await nativeSupport();
  const native = nativeVariants.map(([name, options]): MaybeMachine => {
    if (!support.available) return { name, skip: support.reason };
    const { memory, cpu } = support;
    if (options.target !== 'avx2' && !cpu.avx512) return { name, skip: 'the processor lacks AVX-512' };
    const make = (): TestMachine => ({
      name,
      machine: createNativeMachine(support, options),
      guarded(bytes) {
        const { address, buffer, free } = memory.allocateGuarded(bytes);
        return { address, view: new Uint8Array(buffer), free };
      },
    });
    return { name, skip: false, make };
  });
  const features = nodeWasmFeatures();
  const wasm = [false, true].map((relaxed): MaybeMachine => {
    const name = relaxed ? 'wasm-relaxed' : 'wasm';
    if (relaxed ? !features.relaxedSimd : !features.simd)
      return { name, skip: `this runtime lacks ${relaxed ? 'relaxed ' : ''}SIMD` };
    return { name, skip: false, make: () => wasmMachine(name, relaxed, features.threads) };
  });
  return [...native, ...wasm];
}

/** A memory that cannot grow: ordinary allocations come from its first part, guarded ones from its end. */
function wasmMachine(name: string, relaxed: boolean, shared: boolean): TestMachine {
  const maximumBytes = 256 * PAGE_BYTES;
  const machine = createWasmMachine({ relaxed, shared, maximumBytes });
  const start = machine.allocate(0).address;
  const all = machine.allocate(maximumBytes - start);
  let next = 0;
  const allocate = (bytes: number): MachineMemory => {
    const offset = next;
    next += Math.ceil(bytes / 64) * 64;
    if (next > all.bytes / 2) throw new RangeError(`test memory is full: ${next} bytes`);
    const view = (from: number, length: number): Uint8Array => all.view(offset + from, length);
    return { address: all.address + offset, bytes, view, free() {} };
  };
  return {
    name,
    machine: { ...machine, allocate },
    guarded(bytes) {
      const offset = all.bytes - bytes;
      return { address: all.address + offset, view: all.view(offset, bytes), free() {} };
    },
  };
}
