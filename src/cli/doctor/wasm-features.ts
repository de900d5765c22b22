/** What this runtime's WebAssembly can do. */
export interface WasmFeatures {
  readonly simd: boolean;
  readonly relaxedSimd: boolean;
  readonly threads: boolean;
}

const header = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const oneFunction = [0x03, 0x02, 0x01, 0x00];
const givesVector = [0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b];
const givesNothing = [0x01, 0x04, 0x01, 0x60, 0x00, 0x00];
const sharedMemory = [0x05, 0x04, 0x01, 0x03, 0x01, 0x01];

/** A code section with one function that has no locals. */
const code = (...body: readonly number[]): readonly number[] => {
  const size = body.length + 2;
  return [0x0a, size + 2, 0x01, size, 0x00, ...body, 0x0b];
};

/** i32.const 0, i8x16.splat */
const vector = [0x41, 0x00, 0xfd, 0x0f];
const relaxedSwizzle = [0xfd, 0x80, 0x02];
/** i32.const 0, i32.atomic.load, drop */
const atomicLoad = [0x41, 0x00, 0xfe, 0x10, 0x02, 0x00, 0x1a];

const accepts = (...parts: readonly (readonly number[])[]): boolean =>
  WebAssembly.validate(Uint8Array.from([header, ...parts].flat()));

/** Found by validating tiny modules, as nothing else tells. */
export function wasmFeatures(): WasmFeatures {
  return {
    simd: accepts(givesVector, oneFunction, code(...vector)),
    relaxedSimd: accepts(givesVector, oneFunction, code(...vector, ...vector, ...relaxedSwizzle)),
    threads:
      typeof SharedArrayBuffer !== 'undefined' &&
      accepts(givesNothing, oneFunction, sharedMemory, code(...atomicLoad)),
  };
}
