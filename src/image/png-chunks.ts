import { ImageError } from '../errors.ts';
import type { ImageHeader } from './codec.ts';
import { exifOrientation } from './exif.ts';
import type { Orientation } from './orientation.ts';

export type PngColourType = 0 | 2 | 3 | 4 | 6;

export interface PngHeader extends ImageHeader {
  readonly depth: number;
  readonly colourType: PngColourType;
  readonly interlaced: boolean;
}

export interface PngChunk {
  readonly type: string;
  readonly data: Uint8Array;
}

/** Bit depths each colour type allows: grey, colour, palette, grey with alpha, colour with alpha. */
const allowedDepths: Readonly<Record<PngColourType, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};
const isColourType = (value: number): value is PngColourType => value in allowedDepths;

const crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

/** CRC-32 as chunks end in it: of the type and the data. */
export function crc32(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) c = (crcTable[(c ^ (bytes[i] ?? 0)) & 255] ?? 0) ^ (c >>> 8);
  return ~c >>> 0;
}

/**
 * Chunks in file order up to IEND or the end of the file.
 * @param verify whether to check the CRC of critical chunks
 * @throws ImageError at a cut chunk before the last IDAT, or a wrong CRC
 * @see PNG specification, third edition, 5.3
 */
export function* pngChunks(bytes: Uint8Array, verify: boolean): Generator<PngChunk> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 8 <= bytes.length; ) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (type === 'IEND') return;
    const end = at + 8 + length;
    const critical = ((bytes[at + 4] ?? 0) & 0x20) === 0;
    if (end + 4 > bytes.length) {
      if (!critical) return;
      throw new ImageError(
        `chunk ${JSON.stringify(type)} at byte ${at} needs ${length} bytes, but the file ends at ${bytes.length}; it is cut or damaged`,
      );
    }
    if (verify && critical && crc32(bytes.subarray(at + 4, end)) !== view.getUint32(end)) {
      throw new ImageError(`chunk ${JSON.stringify(type)} at byte ${at} is damaged (its CRC does not match)`);
    }
    yield { type, data: bytes.subarray(at + 8, end) };
    at = end + 4;
  }
}

/** Size, sample format and orientation (eXIf chunk). @throws ImageError for a header PNG does not allow */
export function readPngHeader(bytes: Uint8Array): PngHeader {
  let header: Omit<PngHeader, 'orientation'> | undefined;
  let orientation: Orientation = 1;
  for (const { type, data } of pngChunks(bytes, false)) {
    if (!header && type !== 'IHDR') break;
    if (type === 'IHDR') header = parseIhdr(data);
    if (type === 'eXIf') orientation = exifOrientation(data);
  }
  if (!header) throw new ImageError('the first chunk is not IHDR; the file is cut or damaged');
  return { ...header, orientation };
}

function parseIhdr(data: Uint8Array): Omit<PngHeader, 'orientation'> {
  if (data.length !== 13) throw new ImageError(`IHDR needs 13 bytes, found ${data.length}`);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth, colourType, compression, filter, interlace] = data.subarray(8);
  if (
    depth === undefined ||
    colourType === undefined ||
    !isColourType(colourType) ||
    !allowedDepths[colourType].includes(depth)
  ) {
    throw new ImageError(`IHDR has colour type ${colourType} with ${depth} bits, which PNG does not allow`);
  }
  if (compression !== 0 || filter !== 0 || (interlace !== 0 && interlace !== 1)) {
    throw new ImageError(
      `IHDR has compression ${compression}, filter ${filter}, interlace ${interlace}; PNG knows 0, 0 and 0 or 1`,
    );
  }
  return { width, height, depth, colourType, interlaced: interlace === 1 };
}
