import { encodePng } from '../image/encode-png.ts';
import type { Image } from '../image/image.ts';
import { resizeImage } from '../image/resize.ts';

export interface Thumbnail {
  readonly width: number;
  readonly height: number;
  /** `data:image/png;base64,…` */
  readonly address: string;
}

/**
 * A picture small enough for a page, as an address that holds it.
 * @param mostPixels longer sides are reduced to this: a report of fifty pictures should stay within a megabyte or two
 */
export async function thumbnail(image: Image, mostPixels = 128): Promise<Thumbnail> {
  const ratio = Math.min(1, mostPixels / Math.max(image.width, image.height));
  const scaled = (side: number): number => Math.max(1, Math.round(side * ratio));
  const small =
    ratio === 1 ? image : resizeImage(image, scaled(image.width), scaled(image.height), 'bilinear');
  return {
    width: small.width,
    height: small.height,
    address: `data:image/png;base64,${base64(await encodePng(small))}`,
  };
}

function base64(bytes: Uint8Array): string {
  let text = '';
  // Arguments of a call are limited in number.
  for (let at = 0; at < bytes.length; at += 8192)
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}
