/** Collects kernels for WebAssembly into one module; a kernel's table index is its id. */
import { EngineError } from '../../errors.ts';
import type { CodeBuilder, KernelId } from '../machine.ts';
import type { KernelGenerator } from '../vector-assembler.ts';
import type { Emitter } from './emitter.ts';
import { encodeModule } from './module.ts';
import { functionTypes, TYPE } from './runner/function-types.ts';
import { runnerFunctions } from './runner/runner.ts';
import { WasmAssembler } from './wasm-assembler.ts';
import type { WasmTarget } from './wasm-target.ts';

export class WasmCode implements CodeBuilder {
  readonly target: WasmTarget;
  readonly #shared: boolean;
  readonly #bodies: Emitter[] = [];
  readonly #byName = new Map<string, KernelId>();
  #finished = false;
  #codeBytes = 0;

  constructor(target: WasmTarget, shared: boolean) {
    this.target = target;
    this.#shared = shared;
  }

  get codeBytes(): number {
    return this.#codeBytes;
  }

  get kernelCount(): number {
    return this.#bodies.length;
  }

  kernel(name: string, generate: KernelGenerator): KernelId {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    if (this.#finished) {
      throw new EngineError(`assembler: kernel ${name} comes after its code was loaded`, { name });
    }
    const assembler = new WasmAssembler(this.target);
    generate(assembler);
    const id = this.#bodies.length as KernelId;
    this.#bodies.push(assembler.emitter);
    this.#codeBytes += assembler.emitter.code.length;
    this.#byName.set(name, id);
    return id;
  }

  finish(): Uint8Array<ArrayBuffer> {
    if (this.#finished) throw new EngineError('assembler: this code was already loaded; build it anew');
    this.#finished = true;
    const kernels = this.#bodies.map((body) => ({ type: TYPE.kernel, body }));
    return encodeModule({
      types: functionTypes,
      sharedMemory: this.#shared,
      functions: [...kernels, ...runnerFunctions(kernels.length, this.#shared)],
      tableSize: kernels.length,
    });
  }
}
