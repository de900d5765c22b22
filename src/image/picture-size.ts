import { type ImageDecoder, type ImageHeader, sniffFormat } from './codec.ts';
import { readJpegHeader } from './jpeg-header.ts';
import { readPngHeader } from './png-chunks.ts';

const headers: Readonly<Record<string, (bytes: Uint8Array) => ImageHeader>> = {
  jpeg: readJpegHeader,
  png: readPngHeader,
};

export interface PictureSize {
  readonly width: number;
  readonly height: number;
}

/**
 * Sides of a picture, upright as its EXIF tag asks, from its header where the format is JPEG or PNG; else it is decoded.
 * @throws ImageError when it cannot be read
 */
export async function readPictureSize(
  bytes: Uint8Array,
  name: string,
  decoder: ImageDecoder,
): Promise<PictureSize> {
  const read = headers[sniffFormat(bytes) ?? ''];
  if (!read) {
    const { width, height } = await decoder.decode(bytes, { name });
    return { width, height };
  }
  const { width, height, orientation } = read(bytes);
  return orientation >= 5 ? { width: height, height: width } : { width, height };
}
