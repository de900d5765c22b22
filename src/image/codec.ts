import { ImageError, MobileOneError } from '../errors.ts';
import { checkSize, type Image } from './image.ts';
import { applyOrientation, type Orientation } from './orientation.ts';
import { resizeImage } from './resize.ts';

/** What `sniffFormat` can name. Which of them can be decoded depends on the decoder. */
export type ImageFormat = 'jpeg' | 'png' | 'webp' | 'gif' | 'avif' | 'heic' | 'tiff' | 'bmp';

/** A third of a gigabyte of pixels at 4 bytes, the size at which Pillow warns of a decompression bomb. */
const defaultMaxPixels = 89_478_485;

export interface DecodeOptions {
  /** Largest width·height; checked in the header, before any pixel is decoded. `Infinity` lifts it. */
  readonly maxPixels?: number;
  /**
   * `apply` (default) turns the picture as its EXIF tag says, so that a phone's photo is seen as people see it;
   * mmpretrain's and browsers' loaders do the same. `ignore` keeps the stored rows, as torchvision and timm do.
   */
  readonly orientation?: 'apply' | 'ignore';
  /** What to call the picture in errors, usually its file name. */
  readonly name?: string;
  /**
   * Shrinks a picture whose short side is longer to this, the fast way: sharp decodes a JPEG at a fraction of its
   * size. The pixels depend on the decoder; left out, they are exact.
   */
  readonly shortSide?: number;
}

export interface ImageDecoder {
  readonly name: string;
  readonly formats: readonly ImageFormat[];
  /** Anything the user should know about this choice of decoder, such as why a better one was not used. */
  readonly note?: string;
  /**
   * The bytes of one file as RGB; of an animation, the first frame. Colour profiles and gamma are not applied,
   * alpha is dropped, 16-bit samples keep their high byte.
   * @throws ImageError for an unknown format, a damaged or cut file, or too many pixels
   */
  decode(bytes: Uint8Array, options?: DecodeOptions): Promise<Image>;
}

export interface ImageHeader {
  readonly width: number;
  readonly height: number;
  readonly orientation: Orientation;
}

/** How a decoder reads one format. Both parts throw to refuse; the decoder adds the picture's name. */
export interface FormatCodec {
  header(bytes: Uint8Array, maxPixels: number): ImageHeader | Promise<ImageHeader>;
  pixels(bytes: Uint8Array, maxPixels: number): Promise<Image>;
  /** The picture at a smaller size, where the format has a faster way than to decode all of it. */
  shrunk?(bytes: Uint8Array, maxPixels: number, width: number, height: number): Promise<Image>;
}

export type CodecTable = Readonly<Partial<Record<ImageFormat, FormatCodec>>>;

const ascii = (bytes: Uint8Array, from: number, to: number): string =>
  String.fromCharCode(...bytes.subarray(from, to));

const signatures: Readonly<Record<ImageFormat, (bytes: Uint8Array) => boolean>> = {
  jpeg: (b) => b[0] === 0xff && b[1] === 0xd8,
  png: (b) => ascii(b, 0, 8) === '\x89PNG\r\n\x1a\n',
  webp: (b) => ascii(b, 0, 4) === 'RIFF' && ascii(b, 8, 12) === 'WEBP',
  gif: (b) => ['GIF87a', 'GIF89a'].includes(ascii(b, 0, 6)),
  avif: (b) => /^ftyp.*avi[fs]/s.test(ascii(b, 4, 40)),
  heic: (b) => /^ftyp.*(hei[cx]|hevc|mif1)/s.test(ascii(b, 4, 40)),
  tiff: (b) => ['II*\0', 'MM\0*'].includes(ascii(b, 0, 4)),
  bmp: (b) => ascii(b, 0, 2) === 'BM',
};

const isFormat = (name: string): name is ImageFormat => name in signatures;

/** The format by its first bytes, whatever the file is called. */
export function sniffFormat(bytes: Uint8Array): ImageFormat | undefined {
  return Object.keys(signatures)
    .filter(isFormat)
    .find((format) => signatures[format](bytes));
}

/** @param advice what to do about a format that is not in `codecs` */
export function createDecoder(name: string, codecs: CodecTable, advice: string, note?: string): ImageDecoder {
  const formats = Object.keys(codecs).filter(isFormat);
  const decode = async (bytes: Uint8Array, options: DecodeOptions = {}): Promise<Image> => {
    const label = options.name ?? 'image';
    const maxPixels = options.maxPixels ?? defaultMaxPixels;
    const format = sniffFormat(bytes);
    const codec = format && codecs[format];
    if (!codec) {
      throw new ImageError(
        `${label}: ${format ? `${format} files cannot be read here` : `not a picture of a known format (${describeStart(bytes)})`}; ` +
          `the ${name} decoder reads ${formats.join(', ')}. ${advice}`,
        { name: label, format, formats },
      );
    }
    try {
      const header = await codec.header(bytes, maxPixels);
      checkPixelLimit(header, maxPixels);
      const image = await readPixels(codec, bytes, maxPixels, shrunkSize(header, options.shortSide));
      return options.orientation === 'ignore' ? image : applyOrientation(image, header.orientation);
    } catch (cause) {
      const details = cause instanceof MobileOneError ? cause.details : {};
      const sentence = errorText(cause).trim().replace(/\.$/, '');
      throw new ImageError(
        `${label}: ${format}: ${sentence}.`,
        { name: label, format, ...details },
        { cause },
      );
    }
  };
  return note === undefined ? { name, formats, decode } : { name, formats, note, decode };
}

interface Size {
  readonly width: number;
  readonly height: number;
  /** Whether it is smaller than the file's. */
  readonly shrunk: boolean;
}

/** The size to decode to; sides are rounded to whole pixels. */
function shrunkSize({ width, height }: ImageHeader, shortSide = Number.POSITIVE_INFINITY): Size {
  const short = Math.min(width, height);
  if (short <= shortSide) return { width, height, shrunk: false };
  const scaled = (side: number): number => Math.round((side * shortSide) / short);
  return { width: scaled(width), height: scaled(height), shrunk: true };
}

async function readPixels(
  codec: FormatCodec,
  bytes: Uint8Array,
  maxPixels: number,
  { width, height, shrunk }: Size,
): Promise<Image> {
  if (shrunk && !codec.shrunk) {
    return resizeImage(await codec.pixels(bytes, maxPixels), width, height, 'bilinear');
  }
  const image = await (shrunk && codec.shrunk
    ? codec.shrunk(bytes, maxPixels, width, height)
    : codec.pixels(bytes, maxPixels));
  if (image.width === width && image.height === height) return image;
  const said = shrunk ? 'was asked for' : 'is what the header says';
  throw new ImageError(`${width}×${height} ${said}, but ${image.width}×${image.height} came out`);
}

/** @throws ImageError when width·height is more than `maxPixels` */
function checkPixelLimit({ width, height }: ImageHeader, maxPixels: number): void {
  checkSize(width, height, 'header');
  if (width * height > maxPixels) {
    throw new ImageError(
      `${width}×${height} is ${width * height} pixels, and at most ${maxPixels} are allowed; ` +
        'raise maxPixels if the file is to be trusted',
      { width, height, maxPixels },
    );
  }
}

function describeStart(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'it is empty';
  return `it starts with ${[...bytes.subarray(0, 4)].map((b) => b.toString(16).padStart(2, '0')).join(' ')}`;
}

/** What anything thrown says; a WebAssembly module's exit is an object that is no Error. */
export function errorText(cause: unknown): string {
  if (cause instanceof Error) return cause.message;
  if (typeof cause === 'object' && cause !== null && 'message' in cause) return String(cause.message);
  return String(cause);
}
