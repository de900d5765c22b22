import { type Tensor, tensor } from '../tensor/tensor.ts';
import { centerRegion, cropImage } from './crop.ts';
import type { EvalTransform } from './eval-transform.ts';
import type { Image } from './image.ts';
import { resizeImage } from './resize.ts';

/**
 * A picture as the net wants it: NHWC [1, H, W, 3], float32, RGB.
 * The arithmetic is torchvision's in float32: x/255 (when scale is 1), then (x − mean)/std, each step rounded.
 * @throws ImageError when a picture of extreme proportions would grow past memory
 */
export function applyTransform(image: Image, transform: EvalTransform): Tensor<Float32Array> {
  return normalizePixels(fitImage(image, transform), transform);
}

/** The resize and crop alone: 8-bit pixels, before any normalization. */
export function fitImage(image: Image, transform: EvalTransform): Image {
  const { crop, interpolation } = transform;
  const { width, height } = resizedSize(image.width, image.height, transform.resize);
  const region = crop && centerRegion(width, height, crop.width, crop.height);
  if (!region) return resizeImage(image, width, height, interpolation);
  const inside = region.width <= width && region.height <= height;
  return inside
    ? resizeImage(image, width, height, interpolation, region)
    : cropImage(resizeImage(image, width, height, interpolation), region);
}

/** Size after the resize step; the long side is truncated, as in torchvision, timm and mmpretrain. */
export function resizedSize(
  width: number,
  height: number,
  resize: EvalTransform['resize'],
): { width: number; height: number } {
  if (resize.kind === 'exact') return { width: resize.width, height: resize.height };
  const { size } = resize;
  return width <= height
    ? { width: size, height: Math.trunc((size * height) / width) }
    : { width: Math.trunc((size * width) / height), height: size };
}

/** Scale, mean and std of 8-bit pixels: NHWC [1, H, W, 3] float32. */
export function normalizePixels(image: Image, transform: Normalization): Tensor<Float32Array> {
  const out = new Float32Array(image.data.length);
  normalizeInto(image, normalizationTables(transform), out, 0);
  return tensor([1, image.height, image.width, 3], out);
}

/** How 8-bit values become numbers for a net. */
export type Normalization = Pick<EvalTransform, 'scale' | 'mean' | 'std'>;

/** What each of the 256 values of red, green and blue becomes. */
export type NormalizationTables = readonly [red: Float32Array, green: Float32Array, blue: Float32Array];

export function normalizationTables({ scale, mean, std }: Normalization): NormalizationTables {
  const table = (channel: 0 | 1 | 2): Float32Array => channelTable(scale, mean[channel], std[channel]);
  return [table(0), table(1), table(2)];
}

/** Writes the picture's normalized pixels to `out` from `offset` on; a picture of a batch. */
export function normalizeInto(
  image: Image,
  tables: NormalizationTables,
  out: Float32Array,
  offset: number,
): void {
  const { data } = image;
  const [red, green, blue] = tables;
  for (let i = 0, o = offset; i < data.length; i += 3, o += 3) {
    out[o] = red[data[i] ?? 0] ?? 0;
    out[o + 1] = green[data[i + 1] ?? 0] ?? 0;
    out[o + 2] = blue[data[i + 2] ?? 0] ?? 0;
  }
}

/** float64 steps rounded to float32 are float32 arithmetic. */
function channelTable(scale: 1 | 255, mean: number, std: number): Float32Array {
  const f = Math.fround;
  return Float32Array.from({ length: 256 }, (_, pixel) => {
    const x = scale === 1 ? f(pixel / 255) : pixel;
    return f(f(x - f(mean)) / f(std));
  });
}
