import { createDecoder, type FormatCodec, type ImageDecoder } from './codec.ts';
import { readJpegHeader } from './jpeg-header.ts';
import { createJpegDecoder, type WasmLoader } from './jpeg-wasm.ts';
import { decodePng } from './png.ts';
import { readPngHeader } from './png-chunks.ts';

/**
 * JPEG and PNG on any platform with WebAssembly and `DecompressionStream`, without native code.
 * @param options.advice what to do about other formats, said in errors
 */
export function createPortableDecoder(options: {
  readonly loadJpegWasm?: WasmLoader;
  readonly advice: string;
  readonly note?: string;
}): ImageDecoder {
  const jpeg: FormatCodec = { header: readJpegHeader, pixels: createJpegDecoder(options.loadJpegWasm) };
  const png: FormatCodec = { header: readPngHeader, pixels: decodePng };
  return createDecoder('portable', { jpeg, png }, options.advice, options.note);
}
