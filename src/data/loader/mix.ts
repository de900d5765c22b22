import type { Random } from '../../tensor/random.ts';

/** The arrays of a batch and the sizes of its rows. */
export interface MixBatch {
  /** [N, height, width, 3] */
  readonly images: Float32Array;
  /** [N, classes] */
  readonly targets: Float32Array;
  readonly count: number;
  readonly height: number;
  readonly width: number;
}

/**
 * Mixes the rows of a batch in place, row i with row N − 1 − i: mixup or cutmix by the parameters, 0 meaning never;
 * with both, each half of the time.
 * @see arXiv:1710.09412, arXiv:1905.04899; timm/data/mixup.py in batch mode
 */
export function mixBatch(batch: MixBatch, mixup: number, cutmix: number, random: Random): void {
  const takesCutmix = cutmix > 0 && (mixup === 0 || random.uniform() < 0.5);
  if (takesCutmix) cutMix(batch, beta(random, cutmix), random);
  else if (mixup > 0) mixUp(batch, beta(random, mixup));
}

/** Row i becomes keep·row i + (1 − keep)·row N − 1 − i, pictures and targets alike. */
export function mixUp(batch: MixBatch, keep: number): void {
  const share = Math.max(keep, 1 - keep); // so that a row stays mostly itself
  blendRows(batch.images, batch.count, share);
  blendRows(batch.targets, batch.count, share);
}

/** A random rectangle of 1 − keep of the area is swapped between rows; targets by the area that came to lie inside. */
export function cutMix(batch: MixBatch, keep: number, random: Random): void {
  const { images, count, height, width } = batch;
  const side = Math.sqrt(1 - Math.max(keep, 1 - keep));
  const [w, h] = [Math.trunc(width * side), Math.trunc(height * side)];
  const [centreX, centreY] = [random.integer(width), random.integer(height)];
  const [left, right] = [Math.max(0, centreX - (w >> 1)), Math.min(width, centreX + (w >> 1))];
  const [top, bottom] = [Math.max(0, centreY - (h >> 1)), Math.min(height, centreY + (h >> 1))];
  for (let row = 0; row < count >> 1; row++) {
    for (let y = top; y < bottom; y++) {
      const [from, to] = [(y * width + left) * 3, (y * width + right) * 3];
      const mine = row * height * width * 3;
      const other = (count - 1 - row) * height * width * 3;
      const kept = images.slice(mine + from, mine + to);
      images.copyWithin(mine + from, other + from, other + to);
      images.set(kept, other + from);
    }
  }
  blendRows(batch.targets, count, 1 - ((right - left) * (bottom - top)) / (width * height));
}

/** Rows i and N − 1 − i blend into each other; the middle row of an odd number stays. */
function blendRows(data: Float32Array, count: number, share: number): void {
  const length = data.length / count;
  for (let row = 0; row < count >> 1; row++) {
    const [a, b] = [row * length, (count - 1 - row) * length];
    for (let i = 0; i < length; i++) {
      const [x, y] = [data[a + i] ?? 0, data[b + i] ?? 0];
      data[a + i] = share * x + (1 - share) * y;
      data[b + i] = share * y + (1 - share) * x;
    }
  }
}

/** Beta(a, a) from two gamma variates. */
function beta(random: Random, a: number): number {
  const [x, y] = [gamma(random, a), gamma(random, a)];
  return x + y > 0 ? x / (x + y) : 0.5;
}

/** Gamma(shape, 1). @see Marsaglia and Tsang, A simple method for generating gamma variables (2000) */
function gamma(random: Random, shape: number): number {
  if (shape < 1) return gamma(random, shape + 1) * random.uniform() ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const normal = random.normal();
    const v = (1 + c * normal) ** 3;
    if (v > 0 && Math.log(1 - random.uniform()) < 0.5 * normal ** 2 + d - d * v + d * Math.log(v))
      return d * v;
  }
}
