import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { ImageError } from '../../errors.ts';
import { errorText, type ImageDecoder } from '../../image/codec.ts';
import { createPortableDecoder } from '../../image/portable-decoder.ts';
import { createSharpDecoder, type Sharp } from './image-sharp.ts';

export interface NodeDecoderOptions {
  /** `auto` (default) takes sharp when it is installed and works, else the portable decoder. */
  readonly decoder?: 'auto' | 'sharp' | 'portable';
  /** How to load sharp; tests put its absence here. */
  readonly importSharp?: () => Promise<Sharp>;
}

const importInstalledSharp = async (): Promise<Sharp> => (await import('sharp')).default;

/** The picture decoder for Node. @throws ImageError when sharp is demanded and cannot be loaded */
export async function createNodeDecoder(options: NodeDecoderOptions = {}): Promise<ImageDecoder> {
  const { decoder = 'auto', importSharp = importInstalledSharp } = options;
  if (decoder === 'portable') return portable();
  try {
    return createSharpDecoder(await importSharp());
  } catch (cause) {
    const reason = errorText(cause).split('\n')[0] ?? '';
    if (decoder === 'auto') return portable(`sharp could not be loaded: ${reason}`);
    throw new ImageError(
      `decoder "sharp" could not be loaded (${reason}); run npm install sharp, or use decoder "portable".`,
      {},
      { cause },
    );
  }
}

function portable(note?: string): ImageDecoder {
  const advice = 'Run npm install sharp to read webp, gif, avif and tiff too.';
  return createPortableDecoder({ loadJpegWasm, advice, ...(note === undefined ? {} : { note }) });
}

async function loadJpegWasm(): Promise<WebAssembly.Module> {
  const path = createRequire(import.meta.url).resolve('@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm');
  return WebAssembly.compile(await readFile(path));
}
