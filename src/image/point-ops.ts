import type { Image } from './image.ts';

/**
 * Operations that map each channel's values through a table, as Pillow's ImageOps of the same names do, byte for
 * byte. Tables have 256 entries, one for all channels or three.
 */
type Table = Uint8Array;

function mapChannels(image: Image, tables: readonly [Table] | readonly [Table, Table, Table]): Image {
  const [red, green = red, blue = red] = tables;
  const { width, height, data } = image;
  const out = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i += 3) {
    out[i] = red[data[i] ?? 0] ?? 0;
    out[i + 1] = green[data[i + 1] ?? 0] ?? 0;
    out[i + 2] = blue[data[i + 2] ?? 0] ?? 0;
  }
  return { width, height, data: out };
}

/** The same map for every channel; values are truncated and clipped to 0–255. */
export function mapValues(image: Image, map: (value: number) => number): Image {
  return mapChannels(image, [tableOf(map)]);
}

function tableOf(map: (value: number) => number): Table {
  return Uint8Array.from({ length: 256 }, (_, value) => Math.max(0, Math.min(255, Math.trunc(map(value)))));
}

export function invert(image: Image): Image {
  return mapValues(image, (value) => 255 - value);
}

/** Keeps the upper `bits` (0–8) of each value. */
export function posterize(image: Image, bits: number): Image {
  const mask = ~(2 ** (8 - bits) - 1);
  return mapValues(image, (value) => value & mask);
}

/** Inverts values from `threshold` up. */
export function solarize(image: Image, threshold: number): Image {
  return mapValues(image, (value) => (value < threshold ? value : 255 - value));
}

/** Adds to values below 128; timm's `solarize_add`. */
export function solarizeAdd(image: Image, amount: number): Image {
  return mapValues(image, (value) => (value < 128 ? value + amount : value));
}

/** Stretches each channel so that its darkest value becomes 0 and its brightest 255. */
export function autoContrast(image: Image): Image {
  return perChannel(image, (histogram) => {
    const low = histogram.findIndex((count) => count > 0);
    const high = 255 - [...histogram].reverse().findIndex((count) => count > 0);
    if (high <= low) return tableOf((value) => value);
    const scale = 255 / (high - low);
    const offset = -low * scale;
    return tableOf((value) => value * scale + offset);
  });
}

/** Spreads each channel's values evenly over 0–255. */
export function equalize(image: Image): Image {
  return perChannel(image, (histogram) => {
    const present = histogram.filter((count) => count > 0);
    const total = present.reduce((sum, count) => sum + count, 0);
    const step = Math.floor((total - (present.at(-1) ?? 0)) / 255);
    if (present.length <= 1 || step === 0) return tableOf((value) => value);
    let sum = Math.floor(step / 2);
    return Uint8Array.from(histogram, (count) => {
      const value = Math.min(255, Math.floor(sum / step));
      sum += count;
      return value;
    });
  });
}

function perChannel(image: Image, tableFor: (histogram: Uint32Array) => Table): Image {
  const histograms = [new Uint32Array(256), new Uint32Array(256), new Uint32Array(256)] as const;
  for (const [channel, histogram] of histograms.entries()) {
    for (let i = channel; i < image.data.length; i += 3) {
      const value = image.data[i] ?? 0;
      histogram[value] = (histogram[value] ?? 0) + 1;
    }
  }
  const [red, green, blue] = histograms;
  return mapChannels(image, [tableFor(red), tableFor(green), tableFor(blue)]);
}
