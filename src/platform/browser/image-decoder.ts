import type { ImageDecoder } from '../../image/codec.ts';
import { createPortableDecoder } from '../../image/portable-decoder.ts';

export interface BrowserDecoderOptions {
  /**
   * Where `@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm` is served, or the compiled module. Left out, it is looked for
   * beside the package's script, where bundlers that understand `new URL(…, import.meta.url)` put it.
   */
  readonly jpegWasm?: string | URL | WebAssembly.Module;
}

/** The picture decoder for pages and workers: the same pixels as in Node, unlike the browser's own decoder. */
export function createBrowserDecoder(options: BrowserDecoderOptions = {}): ImageDecoder {
  const { jpegWasm } = options;
  const advice = 'Draw the picture on a canvas and give its ImageData to fromPixels.';
  if (jpegWasm === undefined) return createPortableDecoder({ advice });
  const loadJpegWasm = async (): Promise<WebAssembly.Module> =>
    jpegWasm instanceof WebAssembly.Module ? jpegWasm : WebAssembly.compileStreaming(fetch(jpegWasm));
  return createPortableDecoder({ loadJpegWasm, advice });
}
