import type sharpType from 'sharp';
import { ImageError } from '../../errors.ts';
import {
  type CodecTable,
  createDecoder,
  type FormatCodec,
  type ImageDecoder,
  type ImageHeader,
} from '../../image/codec.ts';
import { fromPixels, type Image, type PixelLayout } from '../../image/image.ts';
import { readJpegHeader } from '../../image/jpeg-header.ts';
import { toOrientation } from '../../image/orientation.ts';
import { decodePng } from '../../image/png.ts';
import { readPngHeader } from '../../image/png-chunks.ts';
import { resizeImage } from '../../image/resize.ts';

export type Sharp = typeof sharpType;

const layouts: Readonly<Record<number, PixelLayout>> = { 1: 'grey', 2: 'grey-alpha', 3: 'rgb', 4: 'rgba' };

/** Decodes with sharp (libvips) on its own threads, with settings that give Pillow's pixels. */
export function createSharpDecoder(sharp: Sharp): ImageDecoder {
  const open = (bytes: Uint8Array, maxPixels: number) =>
    sharp(bytes, {
      // Cut and broken files fail; damage that libjpeg mends gives what Pillow gives. With 'none' a PNG of
      // impossible size ends the process.
      failOn: 'error',
      limitInputPixels: Number.isFinite(maxPixels) ? maxPixels : false,
      ignoreIcc: true, // Pillow's convert('RGB') does not manage colour
      autoOrient: false,
    });

  const readPixels = async (bytes: Uint8Array, maxPixels: number): Promise<Image> => {
    const { data, info } = await open(bytes, maxPixels).raw().toBuffer({ resolveWithObject: true });
    const layout = layouts[info.channels];
    if (!layout) throw new ImageError(`${info.channels} channels came out, expected 1 to 4`);
    return fromPixels({ width: info.width, height: info.height, data, layout });
  };

  // libjpeg gives a half, quarter or eighth at a fraction of the cost; libvips then resizes to the size.
  const readShrunk = async (
    bytes: Uint8Array,
    maxPixels: number,
    width: number,
    height: number,
  ): Promise<Image> => {
    if (readJpegHeader(bytes).components === 4)
      return resizeImage(await readJpeg(bytes, maxPixels), width, height, 'bilinear');
    const small = open(bytes, maxPixels).resize(width, height, { fit: 'fill', kernel: 'linear' });
    const { data, info } = await small.toColourspace('srgb').raw().toBuffer({ resolveWithObject: true });
    const layout = layouts[info.channels];
    if (!layout) throw new ImageError(`${info.channels} channels came out, expected 1 to 4`);
    return fromPixels({ width: info.width, height: info.height, data, layout });
  };

  const readJpeg = async (bytes: Uint8Array, maxPixels: number): Promise<Image> => {
    if (readJpegHeader(bytes).components !== 4) return readPixels(bytes, maxPixels);
    const inks = open(bytes, maxPixels).pipelineColourspace('cmyk').toColourspace('cmyk');
    const { data, info } = await inks.raw().toBuffer({ resolveWithObject: true });
    return fromPixels({ width: info.width, height: info.height, data, layout: 'cmyk' });
  };

  // libpng does not say what is wrong with a file; the portable decoder does.
  const readPng = (bytes: Uint8Array, maxPixels: number): Promise<Image> =>
    readPixels(bytes, maxPixels).catch(() => decodePng(bytes));

  const readHeader = async (bytes: Uint8Array, maxPixels: number): Promise<ImageHeader> => {
    const { width, height, orientation } = await open(bytes, maxPixels).metadata();
    return { width, height, orientation: toOrientation(orientation) };
  };

  const other: FormatCodec = { header: readHeader, pixels: readPixels };
  const codecs: CodecTable = {
    jpeg: { header: readJpegHeader, pixels: readJpeg, shrunk: readShrunk },
    png: { header: readPngHeader, pixels: readPng },
    webp: other,
    gif: other,
    avif: other,
    tiff: other,
  };
  return createDecoder('sharp', codecs, 'Convert the picture to one of these.');
}
