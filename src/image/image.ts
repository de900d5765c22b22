import { ImageError } from '../errors.ts';

/**
 * A picture: 8-bit RGB, interleaved, row by row from the top left; `data` has width·height·3 bytes. Everything
 * between the decoders and the tensor speaks this one layout.
 */
export interface Image {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array | Uint8ClampedArray;
}

/** Bytes per pixel of what `fromPixels` accepts. `cmyk` holds ink amounts (0 is no ink). */
const layoutBytes = { grey: 1, 'grey-alpha': 2, rgb: 3, rgba: 4, cmyk: 4 } as const;

export type PixelLayout = keyof typeof layoutBytes;

/** Pixels in memory; a browser's `ImageData` is one. `layout` is read off the length of `data` when left out. */
export interface PixelSource {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly layout?: PixelLayout;
}

const inferredLayouts: readonly (PixelLayout | undefined)[] = [
  undefined,
  'grey',
  'grey-alpha',
  'rgb',
  'rgba',
];

/** A positive whole number of pixels a side. @throws ImageError */
export function checkSize(width: number, height: number, where: string): void {
  if (!Number.isSafeInteger(width) || !Number.isSafeInteger(height) || width < 1 || height < 1) {
    throw new ImageError(
      `${where}: width and height must be whole numbers from 1, found ${width}×${height}.`,
      { width, height },
    );
  }
}

/**
 * An image from pixels in memory, converted as Pillow's `convert('RGB')` does: grey is repeated, alpha is
 * dropped without blending, CMYK becomes (255−K)·(255−C)/255. RGB data is kept, not copied.
 * @throws ImageError when the data is not width·height pixels of the layout
 */
export function fromPixels(source: PixelSource): Image {
  const { width, height, data } = source;
  checkSize(width, height, 'fromPixels');
  const count = width * height;
  const layout = source.layout ?? inferredLayouts[data.length / count];
  const expected = layout ? count * layoutBytes[layout] : count * 3;
  if (!layout || data.length !== expected) {
    throw new ImageError(
      `fromPixels: ${width}×${height} pixels of ${layout ?? 'rgb'} need ${expected} bytes, found ${data.length}; ` +
        'give 8-bit grey, rgb or rgba data without row padding.',
      { width, height, layout, bytes: data.length },
    );
  }
  return layout === 'rgb' ? { width, height, data } : { width, height, data: toRgb(data, count, layout) };
}

function toRgb(data: Image['data'], count: number, layout: PixelLayout): Uint8Array {
  const out = new Uint8Array(count * 3);
  if (layout === 'cmyk') {
    for (let i = 0, o = 0; o < out.length; i += 4) {
      const white = 255 - (data[i + 3] ?? 0);
      for (let c = 0; c < 3; c++) out[o++] = white - divide255((data[i + c] ?? 0) * white);
    }
    return out;
  }
  const step = layoutBytes[layout];
  const green = step < 3 ? 0 : 1;
  const blue = step < 3 ? 0 : 2;
  for (let i = 0, o = 0; o < out.length; i += step, o += 3) {
    out[o] = data[i] ?? 0;
    out[o + 1] = data[i + green] ?? 0;
    out[o + 2] = data[i + blue] ?? 0;
  }
  return out;
}

/** x/255 rounded, by Pillow's shifts (`MULDIV255`, libImaging/ImagingUtils.h). */
function divide255(x: number): number {
  const t = x + 128;
  return ((t >> 8) + t) >> 8;
}
