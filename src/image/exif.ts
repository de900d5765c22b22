import { type Orientation, toOrientation } from './orientation.ts';

const orientationTag = 0x0112;
const shortType = 3;
const longType = 4;

/**
 * The orientation in an EXIF block (a TIFF header and its first directory; the "Exif\0\0" before it, which JPEG
 * has, may be there or not). A block that cannot be read says nothing: upright.
 * @see CIPA DC-008 (Exif 2.32) 4.5.2, 4.6.4
 */
export function exifOrientation(block: Uint8Array): Orientation {
  const tiff = hasExifPrefix(block) ? block.subarray(6) : block;
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  if (tiff.length < 8) return 1;
  const order = view.getUint16(0);
  if (order !== 0x4949 && order !== 0x4d4d) return 1;
  const little = order === 0x4949;
  if (view.getUint16(2, little) !== 42) return 1;
  const directory = view.getUint32(4, little);
  if (directory + 2 > tiff.length) return 1;
  const entries = view.getUint16(directory, little);
  for (let i = 0; i < entries; i++) {
    const entry = directory + 2 + i * 12;
    if (entry + 12 > tiff.length) return 1;
    if (view.getUint16(entry, little) !== orientationTag) continue;
    const type = view.getUint16(entry + 2, little);
    if (type === shortType) return toOrientation(view.getUint16(entry + 8, little));
    if (type === longType) return toOrientation(view.getUint32(entry + 8, little));
    return 1;
  }
  return 1;
}

export function hasExifPrefix(block: Uint8Array): boolean {
  return [0x45, 0x78, 0x69, 0x66, 0, 0].every((byte, i) => block[i] === byte); // "Exif\0\0"
}
