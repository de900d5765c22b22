import type { SampleContents } from './batch.ts';

/**
 * Decoded pictures with their masks, up to a number of bytes. Every epoch asks for every picture once, so what is in
 * stays in: evicting would only trade one miss for another.
 */
export interface PictureCache {
  readonly get: (index: number) => SampleContents | undefined;
  /** Whether another picture is worth handing in. */
  readonly hasRoom: () => boolean;
  readonly put: (index: number, contents: SampleContents) => void;
  readonly count: () => number;
  readonly bytes: () => number;
}

export function createPictureCache(maxBytes: number): PictureCache {
  const pictures = new Map<number, SampleContents>();
  let bytes = 0;
  let full = maxBytes <= 0;
  return {
    get: (index) => pictures.get(index),
    hasRoom: () => !full,
    put: (index, contents) => {
      if (pictures.has(index)) return;
      const more = contents.image.data.length + (contents.classMask?.data.length ?? 0);
      if (bytes + more > maxBytes) {
        full = true;
        return;
      }
      pictures.set(index, contents);
      bytes += more;
    },
    count: () => pictures.size,
    bytes: () => bytes,
  };
}
