import { ImageError } from '../errors.ts';
import { errorText } from './codec.ts';
import { fromPixels, type Image } from './image.ts';
import { hasEndOfImage, readJpegHeader } from './jpeg-header.ts';

/** Gives the compiled `@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm`. */
export type WasmLoader = () => Promise<WebAssembly.Module>;

/** A ready instance of the WebAssembly decoder; `decode` gives RGBA or exits by throwing. */
interface MozJpeg {
  decode(bytes: Uint8Array, upright: boolean): { width: number; height: number; data: Uint8ClampedArray };
}
type MozJpegFactory = (options: {
  noInitialRun: boolean;
  print: () => void;
  printErr: (line: string) => void;
  instantiateWasm?: (imports: WebAssembly.Imports, done: (instance: WebAssembly.Instance) => void) => object;
}) => Promise<MozJpeg>;

/** WebAssembly memory never shrinks: after a picture of more pixels than this, the instance is let go. */
const keepPixels = 16_000_000;

/**
 * A JPEG decoder that runs anywhere (mozjpeg compiled to WebAssembly): 8-bit grey and colour, baseline and progressive;
 * the pixels are libjpeg-turbo's. Arithmetic coding, 12 bits and CMYK are refused.
 * @param loadWasm the compiled module; without it the package fetches its own .wasm file, beside its script
 */
export function createJpegDecoder(loadWasm?: WasmLoader): (bytes: Uint8Array) => Promise<Image> {
  let compiled: Promise<WebAssembly.Module> | undefined;
  let instance: Promise<MozJpeg> | undefined;
  const messages: string[] = [];

  const start = async (): Promise<MozJpeg> => {
    compiled ??= loadWasm?.();
    return instantiate(await compiled, (line) => messages.push(line));
  };

  return async (bytes) => {
    const header = readJpegHeader(bytes);
    if (header.components === 4) {
      throw new ImageError('CMYK pictures need the "sharp" package; install it, or save the picture as RGB');
    }
    instance ??= start();
    let decoder: MozJpeg;
    try {
      decoder = await instance;
    } catch (cause) {
      compiled = undefined;
      instance = undefined;
      throw new ImageError(`the WebAssembly decoder could not be loaded: ${errorText(cause)}`, {}, { cause });
    }
    messages.length = 0;
    try {
      const { width, height, data } = decoder.decode(bytes, false);
      if (messages.length > 0) checkComplete(bytes, header.scanStart, messages);
      if (width * height > keepPixels) instance = undefined;
      return fromPixels({ width, height, data, layout: 'rgba' });
    } catch (cause) {
      instance = undefined; // an instance that has exited is not to be used again
      throw cause instanceof ImageError ? cause : new ImageError(messages.join('; '), {}, { cause });
    }
  };
}

/** After a warning: a cut file is refused; other damage gives the pixels libjpeg makes of it, as in Pillow. */
function checkComplete(bytes: Uint8Array, scanStart: number, messages: readonly string[]): void {
  const cut = messages.some((m) => m.includes('Premature end of JPEG file'));
  if (cut || !hasEndOfImage(bytes, scanStart))
    throw new ImageError(`the file is cut (${messages.join('; ')})`);
}

async function instantiate(
  module: WebAssembly.Module | undefined,
  printErr: (line: string) => void,
): Promise<MozJpeg> {
  const factory = await importFactory();
  const common = { noInitialRun: true, print: () => {}, printErr };
  if (!module) return factory(common);
  return new Promise((resolve, reject) => {
    const instantiateWasm = (
      imports: WebAssembly.Imports,
      done: (instance: WebAssembly.Instance) => void,
    ): object => {
      WebAssembly.instantiate(module, imports).then(done, reject);
      return {};
    };
    factory({ ...common, instantiateWasm }).then(resolve, reject);
  });
}

/** The package's glue script; its own type declarations name a namespace they do not bring. */
async function importFactory(): Promise<MozJpegFactory> {
  const loaded: { default: unknown } = await import('@jsquash/jpeg/codec/dec/mozjpeg_dec.js');
  return loaded.default as MozJpegFactory;
}
