import type { Image } from '../../image/image.ts';

/**
 * Decoded pictures, up to a number of bytes. Every epoch asks for every picture once, so what is in stays in:
 * evicting would only trade one miss for another.
 */
export interface PictureCache {
  readonly get: (index: number) => Image | undefined;
  /** Whether another picture is worth handing in. */
  readonly hasRoom: () => boolean;
  readonly put: (index: number, picture: Image) => void;
  readonly count: () => number;
  readonly bytes: () => number;
}

export function createPictureCache(maxBytes: number): PictureCache {
  const pictures = new Map<number, Image>();
  let bytes = 0;
  let full = maxBytes <= 0;
  return {
    get: (index) => pictures.get(index),
    hasRoom: () => !full,
    put: (index, picture) => {
      if (pictures.has(index)) return;
      if (bytes + picture.data.length > maxBytes) {
        full = true;
        return;
      }
      pictures.set(index, picture);
      bytes += picture.data.length;
    },
    count: () => pictures.size,
    bytes: () => bytes,
  };
}
