import type { Image } from './image.ts';
import { mapValues } from './point-ops.ts';

/**
 * Pillow's ImageEnhance, byte for byte: each blends the picture with a lesser version of itself, which is what factor
 * 0 gives; 1 keeps the picture, above 1 exaggerates.
 * @see Pillow src/PIL/ImageEnhance.py, src/libImaging/Blend.c
 */

const f = Math.fround;

/** Blend.c for one value in float32: lesser + factor·(value − lesser), clipped, truncated. */
function blend(lesser: number, value: number, factor: number): number {
  const mixed = f(lesser + f(factor * (value - lesser)));
  return mixed <= 0 ? 0 : mixed >= 255 ? 255 : Math.trunc(mixed);
}

/** ITU-R 601 luma in 16-bit fixed point; Pillow's `convert('L')`. */
function luma(red: number, green: number, blue: number): number {
  return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
}

/** Saturation: 0 gives grey. */
export function adjustColor(image: Image, factor: number): Image {
  const { width, height, data } = image;
  const out = new Uint8Array(data.length);
  const share = f(factor);
  for (let i = 0; i < data.length; i += 3) {
    const [red, green, blue] = [data[i] ?? 0, data[i + 1] ?? 0, data[i + 2] ?? 0];
    const grey = luma(red, green, blue);
    out[i] = blend(grey, red, share);
    out[i + 1] = blend(grey, green, share);
    out[i + 2] = blend(grey, blue, share);
  }
  return { width, height, data: out };
}

/** 0 gives the mean grey everywhere. */
export function adjustContrast(image: Image, factor: number): Image {
  const { data } = image;
  let sum = 0;
  for (let i = 0; i < data.length; i += 3) sum += luma(data[i] ?? 0, data[i + 1] ?? 0, data[i + 2] ?? 0);
  const mean = Math.trunc(sum / (data.length / 3) + 0.5);
  return mapValues(image, (value) => blend(mean, value, f(factor)));
}

/** 0 gives black. */
export function adjustBrightness(image: Image, factor: number): Image {
  return mapValues(image, (value) => blend(0, value, f(factor)));
}

/** 0 gives the picture smoothed by (1 1 1, 1 5 1, 1 1 1)/13; the border of one pixel stays as it is. */
export function adjustSharpness(image: Image, factor: number): Image {
  const { width, height, data } = image;
  const out = new Uint8Array(data);
  const share = f(factor);
  const row = width * 3;
  for (let y = 1; y < height - 1; y++) {
    for (let i = y * row + 3; i < (y + 1) * row - 3; i++) {
      const value = data[i] ?? 0;
      const above =
        (data[i - row - 3] ?? 0) + (data[i - row] ?? 0) + (data[i - row + 3] ?? 0) + (data[i - 3] ?? 0);
      const below =
        (data[i + row - 3] ?? 0) + (data[i + row] ?? 0) + (data[i + row + 3] ?? 0) + (data[i + 3] ?? 0);
      // Rounded to nearest; a thirteenth is never half.
      const smooth = Math.floor((2 * (above + 5 * value + below) + 13) / 26);
      out[i] = blend(smooth, value, share);
    }
  }
  return { width, height, data: out };
}

/** Turns hues by `turns` (−0.5 to 0.5) in Pillow's 8-bit HSV, as torchvision's `adjust_hue` does. */
export function adjustHue(image: Image, turns: number): Image {
  const { width, height, data } = image;
  const out = new Uint8Array(data.length);
  const shift = Math.trunc(turns * 255) & 255;
  for (let i = 0; i < data.length; i += 3) {
    const [red, green, blue] = [data[i] ?? 0, data[i + 1] ?? 0, data[i + 2] ?? 0];
    const value = Math.max(red, green, blue);
    const range = value - Math.min(red, green, blue);
    const saturation = range === 0 ? 0 : Math.trunc(f(f(range / value) * 255));
    if (saturation === 0) {
      out.fill(value, i, i + 3);
      continue;
    }
    writeHsv(out, i, (hueOf(red, green, blue, value, range) + shift) & 255, saturation, value);
  }
  return { width, height, data: out };
}

/** `rgb2hsv_row` of Pillow's Convert.c. */
function hueOf(red: number, green: number, blue: number, value: number, range: number): number {
  const r = f((value - red) / range);
  const g = f((value - green) / range);
  const b = f((value - blue) / range);
  const sextant = red === value ? f(b - g) : green === value ? f(2 + r - b) : f(4 + g - r);
  return Math.trunc(f(f((sextant / 6 + 1) % 1) * 255));
}

/** `hsv2rgb` of Pillow's Convert.c. */
function writeHsv(out: Uint8Array, at: number, hue: number, saturation: number, value: number): void {
  const share = f(saturation / 255);
  const turned = (hue * 6) / 255;
  const sextant = Math.floor(turned);
  const part = f(turned - sextant);
  const p = Math.round(value * (1 - share));
  const q = Math.round(value * (1 - f(share * part)));
  const t = Math.round(value * (1 - share * (1 - part)));
  const [red, green, blue] = sextants(sextant % 6, p, q, t, value);
  out[at] = red;
  out[at + 1] = green;
  out[at + 2] = blue;
}

function sextants(index: number, p: number, q: number, t: number, v: number): [number, number, number] {
  if (index === 0) return [v, t, p];
  if (index === 1) return [q, v, p];
  if (index === 2) return [p, v, t];
  if (index === 3) return [p, q, v];
  return index === 4 ? [t, p, v] : [v, p, q];
}
