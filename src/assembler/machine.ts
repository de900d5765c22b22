/**
 * What the engine holds of the place where its code runs: memory, a builder of code, and code that was loaded.
 * Two machines exist: WebAssembly (any runtime) and native x86-64 (Node with executable memory).
 */
import type { Brand } from '../tensor/brand.ts';
import type { KernelGenerator, VectorTarget } from './vector-assembler.ts';

/** Number of a kernel within its builder: 0, 1, 2, … */
export type KernelId = Brand<number, 'KernelId'>;

/** Bytes that both JavaScript and emitted code see. */
export interface MachineMemory {
  /** What an address slot holds to point at the first byte. */
  readonly address: number;
  readonly bytes: number;
  /** Fresh memory is zero. Do not keep views across `grow` or after `free`: ask again. */
  view(offset: number, bytes: number): Uint8Array;
  free(): void;
}

/** Collects kernels; the same name means the same code, so a name met again returns the kernel it named first. */
export interface CodeBuilder {
  readonly target: VectorTarget;
  /** @throws EngineError when the generator runs out of registers or uses what the target lacks */
  kernel(name: string, generate: KernelGenerator): KernelId;
  /** Bytes of code so far. */
  readonly codeBytes: number;
}

/** Functions every loaded code has besides its kernels; `control` and steps are laid out in runner-layout.ts. */
export interface RunnerFunctions {
  /** Calls one kernel once. */
  call(kernel: KernelId, record: number): void;
  /** Runs all tiles of all steps on this thread alone, with no atomics. */
  runAlone(steps: number, stepCount: number): void;
  /**
   * Starts a run over the steps written in the control block, takes part, returns when every tile is done.
   * Helpers in `serve` join in; a helper that is late or asleep delays nothing.
   */
  runShared(control: number): void;
  /**
   * A helper: joins runs until none has started for a while (a spin, then one bounded sleep) or until told to
   * stop. @returns true when it was told to stop
   */
  serve(control: number): boolean;
  /** Wakes helpers that sleep in `serve`, so that they see `stop`. */
  wake(control: number): void;
}

export interface LoadedCode extends RunnerFunctions {
  /** What slot 0 of a tile record holds for this kernel. */
  entry(kernel: KernelId): number;
  /** A value that survives structured clone; a worker's machine turns it into RunnerFunctions by `attach`. */
  readonly shared: SharedCode;
  /** The code must not be running anywhere, nor be run again. */
  dispose(): void;
}

export type SharedCode =
  | { readonly kind: 'wasm'; readonly module: WebAssembly.Module; readonly memory: WebAssembly.Memory }
  | {
      readonly kind: 'native';
      readonly kernels: readonly number[];
      readonly runAlone: number;
      readonly runShared: number;
      readonly serve: number;
      readonly wake: number;
    };

export interface Machine {
  readonly target: VectorTarget;
  readonly kind: 'wasm' | 'native';
  /** Memory in one piece that starts at a multiple of 64 bytes. */
  allocate(bytes: number): MachineMemory;
  builder(): CodeBuilder;
  /** The builder must be this machine's own; it is spent afterwards. */
  load(builder: CodeBuilder): LoadedCode;
  dispose(): void;
}
