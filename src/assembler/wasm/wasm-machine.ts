/** The machine whose code is WebAssembly. */
import { EngineError } from '../../errors.ts';
import type {
  CodeBuilder,
  KernelId,
  LoadedCode,
  Machine,
  MachineMemory,
  RunnerFunctions,
  SharedCode,
} from '../machine.ts';
import { MAXIMUM_PAGES, PAGE_BYTES } from './module.ts';
import { WasmCode } from './wasm-code.ts';
import { wasmTarget } from './wasm-target.ts';

export interface WasmMachineOptions {
  /** Use relaxed SIMD; the runtime must accept it (wasmFeatures). */
  readonly relaxed: boolean;
  /** Memory that several threads see; the runtime must accept it (wasmFeatures). */
  readonly shared: boolean;
  /** Most bytes the memory may grow to; shared memory reserves address space for them. */
  readonly maximumBytes?: number;
}

const DEFAULT_MAXIMUM_BYTES = 2 ** 30;
/** Address 0 stays unused, so that a record of zeros is not a valid one. */
const FIRST_ADDRESS = 1024;
const ALIGNMENT = 64;

/**
 * Memory is handed out once and goes as a whole when the machine is dropped: make a machine for each session.
 */
export function createWasmMachine(options: WasmMachineOptions): Machine {
  const target = wasmTarget(options.relaxed);
  const maximumBytes = options.maximumBytes ?? DEFAULT_MAXIMUM_BYTES;
  const maximum = Math.min(MAXIMUM_PAGES, Math.ceil(maximumBytes / PAGE_BYTES));
  const memory = createMemory(maximum, options.shared);
  let next = FIRST_ADDRESS;
  const allocate = (bytes: number): MachineMemory => {
    const address = Math.ceil(next / ALIGNMENT) * ALIGNMENT;
    const end = address + bytes;
    if (end > maximum * PAGE_BYTES) {
      throw new EngineError(
        `wasm: ${end} bytes of memory are needed, the limit is ${maximum * PAGE_BYTES}; raise maximumBytes (at most 4 GiB)`,
        { needed: end, limit: maximum * PAGE_BYTES },
      );
    }
    grow(memory, end);
    next = end;
    return {
      address,
      bytes,
      view(offset, length) {
        if (offset < 0 || length < 0 || offset + length > bytes) {
          throw new EngineError(`wasm: view of ${length} bytes at ${offset} in memory of ${bytes} bytes`);
        }
        return new Uint8Array(memory.buffer, address + offset, length);
      },
      free() {},
    };
  };
  return {
    target,
    kind: 'wasm',
    allocate,
    builder: () => new WasmCode(target, options.shared),
    load: (builder) => load(memory, builder),
    dispose() {},
  };
}

function createMemory(maximum: number, shared: boolean): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: 1, maximum, shared });
  } catch (cause) {
    throw new EngineError(
      `wasm: the runtime refused a memory of up to ${maximum * PAGE_BYTES} bytes; lower maximumBytes`,
      { maximumBytes: maximum * PAGE_BYTES },
      { cause },
    );
  }
}

function grow(memory: WebAssembly.Memory, end: number): void {
  const missing = end - memory.buffer.byteLength;
  if (missing <= 0) return;
  try {
    memory.grow(Math.ceil(missing / PAGE_BYTES));
  } catch (cause) {
    throw new EngineError(
      `wasm: the runtime refused ${missing} more bytes of memory`,
      { missing },
      { cause },
    );
  }
}

function load(memory: WebAssembly.Memory, builder: CodeBuilder): LoadedCode {
  if (!(builder instanceof WasmCode)) {
    throw new EngineError('wasm: load() was given a builder of another machine', {
      target: builder.target.name,
    });
  }
  const module = new WebAssembly.Module(builder.finish());
  const shared = { kind: 'wasm', module, memory } as const satisfies SharedCode;
  const entry = (kernel: KernelId): number => {
    if (kernel < builder.kernelCount) return kernel;
    throw new EngineError(`wasm: there is no kernel ${kernel}`, { kernel });
  };
  return { entry, shared, dispose() {}, ...attachWasm(shared) };
}

/** The runner of a module, on this thread. */
export function attachWasm(code: Extract<SharedCode, { kind: 'wasm' }>): RunnerFunctions {
  const { exports } = new WebAssembly.Instance(code.module, { env: { memory: code.memory } });
  const find = (name: string): ((...values: number[]) => number | undefined) => {
    const found = exports[name];
    if (typeof found === 'function') return (...values) => found(...values);
    return () => {
      throw new EngineError(`wasm: ${name} needs a machine with shared memory`, { name });
    };
  };
  const [call, runAlone, runShared, serve, wake] = [
    find('call'),
    find('runAlone'),
    find('runShared'),
    find('serve'),
    find('wake'),
  ];
  return {
    call: (kernel, record) => void call(kernel, record),
    runAlone: (steps, stepCount) => void runAlone(steps, stepCount),
    runShared: (control) => void runShared(control),
    serve: (control) => serve(control) === 1,
    wake: (control) => void wake(control),
  };
}
