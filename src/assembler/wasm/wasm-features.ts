/** What this runtime's WebAssembly can do, found by validating tiny modules. */
import { ATOMIC, Emitter, I32, OP, SIMD, V128 } from './emitter.ts';
import { encodeModule } from './module.ts';

export interface WasmFeatures {
  readonly simd: boolean;
  readonly relaxedSimd: boolean;
  /** Shared memory with atomics, and the page may use it. */
  readonly threads: boolean;
}

export function wasmFeatures(): WasmFeatures {
  return {
    simd: accepts(false, (e) => {
      e.vectorConstant(0);
      e.op(OP.drop);
    }),
    relaxedSimd: accepts(false, (e) => {
      const vector = e.newLocal(V128);
      for (let i = 0; i < 3; i++) e.get(vector);
      e.simd(SIMD.relaxedMultiplyAdd);
      e.op(OP.drop);
    }),
    threads:
      typeof SharedArrayBuffer !== 'undefined' &&
      accepts(true, (e) => {
        e.i32(0);
        e.atomic(ATOMIC.load32, 0);
        e.op(OP.drop);
      }),
  };
}

function accepts(sharedMemory: boolean, write: (emitter: Emitter) => void): boolean {
  const body = new Emitter(1);
  write(body);
  const types = [{ parameters: [I32], results: [] }] as const;
  const bytes = encodeModule({ types, sharedMemory, functions: [{ type: 0, body }], tableSize: 0 });
  return WebAssembly.validate(bytes);
}
