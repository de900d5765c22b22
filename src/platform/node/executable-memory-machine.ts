/** The machine whose code is x86-64 in executable memory. */

import type {
  CodeBuilder,
  LoadedCode,
  Machine,
  MachineMemory,
  RunnerFunctions,
  SharedCode,
} from '../../assembler/machine.ts';
import type { CpuFeatures } from '../../assembler/x64/cpuid.ts';
import { X64Code } from '../../assembler/x64/x64-code.ts';
import { x64Target } from '../../assembler/x64/x64-target.ts';
import { EngineError } from '../../errors.ts';
import { readCpuFeatures } from './cpu-features.ts';
import { type NativeOptions, openNative, type SystemMemory } from './executable-memory.ts';

export type NativeSupport =
  | { readonly available: true; readonly memory: SystemMemory; readonly cpu: CpuFeatures }
  | { readonly available: false; readonly reason: string };

let support: Promise<NativeSupport> | undefined;

/** Can native kernels run here? Asked once; with options, asked anew. */
export function nativeSupport(options?: NativeOptions): Promise<NativeSupport> {
  if (options !== undefined) return findSupport(options);
  support ??= findSupport({});
  return support;
}

async function findSupport(options: NativeOptions): Promise<NativeSupport> {
  const native = await openNative(options);
  if (!native.available) return native;
  const cpu = readCpuFeatures(native.memory);
  if (!cpu.avx2) return { available: false, reason: `${cpu.brand || 'the processor'} lacks AVX2 with FMA` };
  return { available: true, memory: native.memory, cpu };
}

export interface NativeMachineOptions {
  /** Narrower code than the processor could run. */
  readonly target?: 'avx512' | 'avx2';
  /** Features to do without. */
  readonly without?: readonly ('bf16' | 'tiles')[];
}

/** @throws EngineError when the processor lacks the target asked for */
export function createNativeMachine(
  { memory, cpu }: { readonly memory: SystemMemory; readonly cpu: CpuFeatures },
  options: NativeMachineOptions = {},
): Machine {
  const lacks = (feature: 'bf16' | 'tiles'): boolean => options.without?.includes(feature) ?? false;
  const target = x64Target(
    {
      avx2: cpu.avx2,
      avx512: cpu.avx512,
      avx512Bf16: cpu.avx512Bf16 && !lacks('bf16'),
      amxBf16: cpu.amxBf16 && !lacks('tiles'),
    },
    options.target,
  );
  if (target === undefined) {
    throw new EngineError(`native code: ${cpu.brand} cannot run ${options.target ?? 'avx2'} kernels`, {
      options,
    });
  }
  const futex = process.platform === 'linux';
  return {
    target,
    kind: 'native',
    allocate: (bytes) => allocate(memory, bytes),
    builder: () => new X64Code({ target, convention: memory.convention, futex }),
    load: (builder) => load(memory, builder),
    dispose() {},
  };
}

function allocate(memory: SystemMemory, bytes: number): MachineMemory {
  const pages = memory.allocate(bytes);
  let freed = false;
  return {
    address: pages.address,
    bytes,
    view(offset, length) {
      if (freed) throw new EngineError('native code: view of memory that was freed');
      if (offset < 0 || length < 0 || offset + length > bytes) {
        throw new EngineError(
          `native code: view of ${length} bytes at ${offset} in memory of ${bytes} bytes`,
        );
      }
      return new Uint8Array(pages.buffer, offset, length);
    },
    free() {
      freed = true;
      pages.free();
    },
  };
}

function load(memory: SystemMemory, builder: CodeBuilder): LoadedCode {
  if (!(builder instanceof X64Code)) {
    throw new EngineError('native code: load() was given a builder of another machine', {
      target: builder.target.name,
    });
  }
  const image = builder.finish();
  const pages = memory.execute(image.bytes);
  const at = (offset: number): number => pages.address + offset;
  const shared: SharedCode = {
    kind: 'native',
    kernels: image.kernels.map(at),
    runAlone: at(image.runner.runAlone),
    runShared: at(image.runner.runShared),
    serve: at(image.runner.serve),
    wake: at(image.runner.wake),
  };
  const entry = (kernel: number): number => {
    const address = shared.kernels[kernel];
    if (address === undefined) throw new EngineError(`native code: there is no kernel ${kernel}`, { kernel });
    return address;
  };
  return { entry, shared, dispose: pages.free, ...attachNative(memory, shared) };
}

/** The runner of code that this process has loaded, perhaps on another thread. */
export function attachNative(
  memory: SystemMemory,
  code: Extract<SharedCode, { kind: 'native' }>,
): RunnerFunctions {
  return {
    call(kernel, record) {
      const address = code.kernels[kernel];
      if (address === undefined)
        throw new EngineError(`native code: there is no kernel ${kernel}`, { kernel });
      memory.invoke(address, record, 0);
    },
    runAlone: (steps, stepCount) => void memory.invoke(code.runAlone, steps, stepCount),
    runShared: (control) => void memory.invoke(code.runShared, control, 0),
    serve: (control) => memory.invoke(code.serve, control, 0) === 1,
    wake: (control) => void memory.invoke(code.wake, control, 0),
  };
}
