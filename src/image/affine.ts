import type { Image } from './image.ts';

export type Colour = readonly [red: number, green: number, blue: number];

/** (x, y) of the result comes from (a·x + b·y + c, d·x + e·y + f) of the picture; pixel centres at halves. */
export type AffineMatrix = readonly [a: number, b: number, c: number, d: number, e: number, f: number];

export type AffineInterpolation = 'bilinear' | 'bicubic';

/** Weights of neighbouring values at a distance in [0, 1) past the second (bicubic) or first (bilinear) of them. */
const kernels: Readonly<
  Record<AffineInterpolation, { taps: number; before: number; mix: (v: Float64Array, d: number) => number }>
> = {
  bilinear: {
    taps: 2,
    before: 0,
    mix: (v, d) => (v[0] ?? 0) + ((v[1] ?? 0) - (v[0] ?? 0)) * d,
  },
  bicubic: {
    taps: 4,
    before: 1,
    mix: (v, d) => {
      const [v1, v2, v3, v4] = [v[0] ?? 0, v[1] ?? 0, v[2] ?? 0, v[3] ?? 0];
      const p2 = -v1 + v3;
      const p3 = 2 * (v1 - v2) + v3 - v4;
      const p4 = -v1 + v2 - v3 + v4;
      return v2 + d * (p2 + d * (p3 + d * p4));
    },
  },
};

/**
 * The picture moved by an affine map, same size, byte for byte Pillow's `Image.transform(size, AFFINE, matrix)`:
 * float64, values truncated, past the border the nearest row and column; places outside the picture get `fill`.
 * @see Pillow src/libImaging/Geometry.c
 */
export function transformAffine(
  image: Image,
  matrix: AffineMatrix,
  interpolation: AffineInterpolation,
  fill: Colour,
): Image {
  const { width, height, data } = image;
  const [a, b, c, d, e, f] = matrix;
  const [red, green, blue] = fill;
  const sample = interpolation === 'bilinear' ? bilinearSampler(image) : generalSampler(image, interpolation);
  const out = new Uint8Array(data.length);
  let o = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++, o += 3) {
      const fromX = a * (x + 0.5) + b * (y + 0.5) + c;
      const fromY = d * (x + 0.5) + e * (y + 0.5) + f;
      if (!(fromX >= 0 && fromX < width && fromY >= 0 && fromY < height)) {
        out[o] = red;
        out[o + 1] = green;
        out[o + 2] = blue;
        continue;
      }
      sample(fromX - 0.5, fromY - 0.5, out, o);
    }
  }
  return { width, height, data: out };
}

/** Writes the colour at a place, in pixels from the first pixel's centre, to three bytes of `out`. */
type Sampler = (x: number, y: number, out: Uint8Array, at: number) => void;

function generalSampler({ width, height, data }: Image, interpolation: AffineInterpolation): Sampler {
  const { taps, before, mix } = kernels[interpolation];
  const columns = new Int32Array(taps);
  const across = new Float64Array(taps);
  const down = new Float64Array(taps);
  return (x, y, out, at) => {
    const left = Math.floor(x);
    const top = Math.floor(y);
    for (let t = 0; t < taps; t++) columns[t] = Math.max(0, Math.min(width - 1, left - before + t)) * 3;
    for (let channel = 0; channel < 3; channel++) {
      for (let t = 0; t < taps; t++) {
        // Rows outside repeat what came above, as interpolated.
        const row = top - before + t;
        if (t > 0 && (row < 0 || row >= height)) {
          down[t] = down[t - 1] ?? 0;
          continue;
        }
        const base = Math.max(0, Math.min(height - 1, row)) * width * 3 + channel;
        for (let u = 0; u < taps; u++) across[u] = data[base + (columns[u] ?? 0)] ?? 0;
        down[t] = mix(across, x - left);
      }
      const value = mix(down, y - top);
      out[at + channel] = value <= 0 ? 0 : value >= 255 ? 255 : Math.trunc(value);
    }
  };
}

/** The same for places between four pixels, without detours. */
function bilinearSampler(image: Image): Sampler {
  const { width, height, data } = image;
  const general = generalSampler(image, 'bilinear');
  return (x, y, out, at) => {
    const left = Math.floor(x);
    const top = Math.floor(y);
    if (left < 0 || top < 0 || left + 1 >= width || top + 1 >= height) {
      general(x, y, out, at);
      return;
    }
    const [dx, dy] = [x - left, y - top];
    const upper = (top * width + left) * 3;
    const lower = upper + width * 3;
    for (let channel = 0; channel < 3; channel++) {
      const u = data[upper + channel] ?? 0;
      const l = data[lower + channel] ?? 0;
      const above = u + ((data[upper + channel + 3] ?? 0) - u) * dx;
      const below = l + ((data[lower + channel + 3] ?? 0) - l) * dx;
      out[at + channel] = Math.trunc(above + (below - above) * dy);
    }
  };
}

/** Python's `round(x, 15)`. */
const round15 = (x: number): number => Number(x.toFixed(15));

/** Counter-clockwise about the centre; Pillow's `Image.rotate` without expansion, for angles below 90 degrees. */
export function rotate(
  image: Image,
  degrees: number,
  interpolation: AffineInterpolation,
  fill: Colour,
): Image {
  if (degrees === 0) return image;
  const angle = (-degrees * Math.PI) / 180;
  const cos = round15(Math.cos(angle));
  const sin = round15(Math.sin(angle));
  const back = round15(-Math.sin(angle));
  const [centreX, centreY] = [image.width / 2, image.height / 2];
  const c = cos * -centreX + sin * -centreY + 0 + centreX;
  const f = back * -centreX + cos * -centreY + 0 + centreY;
  return transformAffine(image, [cos, sin, c, back, cos, f], interpolation, fill);
}
