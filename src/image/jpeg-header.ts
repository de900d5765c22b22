import { ImageError } from '../errors.ts';
import type { ImageHeader } from './codec.ts';
import { exifOrientation, hasExifPrefix } from './exif.ts';
import type { Orientation } from './orientation.ts';

export interface JpegHeader extends ImageHeader {
  /** Bits per sample; 8 in nearly every file. */
  readonly precision: number;
  /** 1 grey, 3 colour, 4 CMYK. */
  readonly components: number;
  /** Byte offset of the first scan. */
  readonly scanStart: number;
}

const startOfScan = 0xda;
const endOfImage = 0xd9;
const app1 = 0xe1;
const isStandalone = (marker: number): boolean => marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8);
const isFrame = (marker: number): boolean =>
  marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;

/**
 * Size, sample format and EXIF orientation of a JPEG, from its segments before the first scan. Stray bytes between
 * segments are skipped, as libjpeg does.
 * @throws ImageError when there is no frame header, or it has no size
 */
export function readJpegHeader(bytes: Uint8Array): JpegHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let frame: { precision: number; height: number; width: number; components: number } | undefined;
  let orientation: Orientation | undefined;
  let at = 2;
  for (;;) {
    at = nextMarker(bytes, at);
    const marker = bytes[at - 1] ?? endOfImage;
    if (at >= bytes.length || marker === endOfImage || marker === startOfScan) break;
    if (isStandalone(marker)) continue;
    if (at + 2 > bytes.length) break;
    const end = at + view.getUint16(at);
    const body = bytes.subarray(at + 2, end);
    if (isFrame(marker) && !frame && body.length >= 6) {
      frame = {
        precision: view.getUint8(at + 2),
        height: view.getUint16(at + 3),
        width: view.getUint16(at + 5),
        components: view.getUint8(at + 7),
      };
    }
    if (marker === app1 && orientation === undefined && hasExifPrefix(body))
      orientation = exifOrientation(body);
    at = Math.max(end, at + 2);
  }
  if (!frame) throw new ImageError('no frame header (SOF) before the first scan; the file is damaged or cut');
  if (frame.width === 0 || frame.height === 0) {
    throw new ImageError(`the frame header gives ${frame.width}×${frame.height} pixels`);
  }
  return { ...frame, orientation: orientation ?? 1, scanStart: at };
}

/** Offset just after the next 0xff-marker byte pair, or the end of the bytes. */
function nextMarker(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length) {
    if (bytes[at] === 0xff) {
      const code = bytes[at + 1];
      if (code !== undefined && code !== 0 && code !== 0xff) return at + 2;
    }
    at++;
  }
  return bytes.length;
}

/** Whether an end-of-image marker follows the first scan. */
export function hasEndOfImage(bytes: Uint8Array, scanStart: number): boolean {
  for (let at = bytes.length - 2; at >= scanStart; at--) {
    if (bytes[at] === 0xff && bytes[at + 1] === endOfImage) return true;
  }
  return false;
}
