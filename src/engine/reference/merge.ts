import { type ConvGeometry, centreTap, windowOutputSize } from '../../graph/geometry.ts';
import type { Shape, Tensor } from '../../tensor/tensor.ts';
import type { TrainingRules } from './training-rules.ts';

/**
 * Merged branches: moments of the patches that a convolution reads, and the branches of a block as one convolution.
 * A patch p of a group has P = C/groups·kH·kW numbers in OIHW's order, so weights [O,C/groups,kH,kW] are rows of P.
 */

const empty: Tensor = { shape: [], data: new Float64Array(0) };
const operand = (x: readonly Tensor[], index: number): Tensor => x[index] ?? empty;
const number = (values: ArrayLike<number>, index: number): number => values[index] ?? 0;

interface Patches {
  readonly groups: number;
  /** P */
  readonly length: number;
  /** Positions of all images: what moments are divided by. */
  readonly count: number;
  /** Calls back for every position: where each number of all groups' patches lies in x, −1 in the padding. */
  readonly forEach: (visit: (places: Int32Array) => void) => void;
}

function patchesOf([n = 0, height = 0, width = 0, channels = 0]: Shape, geometry: ConvGeometry): Patches {
  const { kernel, stride, padding, dilation, groups } = geometry;
  const [outHeight, outWidth] = windowOutputSize(geometry, height, width);
  const taps = kernel[0] * kernel[1];
  const places = new Int32Array(channels * taps);
  const place = (image: number, row: number, column: number, t: number): number => {
    const inRow = row * stride[0] - padding[0] + Math.floor(t / kernel[1]) * dilation[0];
    const inColumn = column * stride[1] - padding[1] + (t % kernel[1]) * dilation[1];
    const inside = inRow >= 0 && inRow < height && inColumn >= 0 && inColumn < width;
    return inside ? ((image * height + inRow) * width + inColumn) * channels : -1;
  };
  return {
    groups,
    length: (channels / groups) * taps,
    count: n * outHeight * outWidth,
    forEach: (visit) => {
      for (let position = 0; position < n * outHeight * outWidth; position++) {
        const [image, rest] = [
          Math.floor(position / (outHeight * outWidth)),
          position % (outHeight * outWidth),
        ];
        for (let t = 0; t < taps; t++) {
          const first = place(image, Math.floor(rest / outWidth), rest % outWidth, t);
          for (let c = 0; c < channels; c++) places[c * taps + t] = first < 0 ? -1 : first + c;
        }
        visit(places);
      }
    },
  };
}

function moments(x: Tensor, geometry: ConvGeometry, mean: Tensor, covariance: Tensor): void {
  const { groups, length, count, forEach } = patchesOf(x.shape, geometry);
  const sums = new Float64Array(groups * length);
  forEach((places) => {
    for (let i = 0; i < sums.length; i++) sums[i] = number(sums, i) + number(x.data, number(places, i));
  });
  const means = sums.map((sum) => sum / count);
  const centred = new Float64Array(groups * length);
  const products = new Float64Array(groups * length * length);
  forEach((places) => {
    for (let i = 0; i < centred.length; i++)
      centred[i] = number(x.data, number(places, i)) - number(means, i);
    for (let i = 0; i < centred.length; i++) {
      const group = Math.floor(i / length) * length;
      const row = i * length;
      for (let j = 0; j < length; j++)
        products[row + j] = number(products, row + j) + number(centred, i) * number(centred, group + j);
    }
  });
  mean.data.set(means);
  for (let i = 0; i < products.length; i++) covariance.data[i] = number(products, i) / count;
}

/** dx = Σ over patches of (dmean + 2·dcovariance·(p − mean))/n, at the places the patch was read from. */
function momentsGrad(geometry: ConvGeometry, x: readonly Tensor[], dx: Tensor): void {
  const [source, mean, dmean, dcovariance] = [0, 1, 2, 3].map((i) => operand(x, i).data);
  if (!source || !mean || !dmean || !dcovariance) return;
  const { groups, length, count, forEach } = patchesOf(operand(x, 0).shape, geometry);
  const sums = new Float64Array(source.length);
  const centred = new Float64Array(groups * length);
  forEach((places) => {
    for (let i = 0; i < centred.length; i++) centred[i] = number(source, number(places, i)) - number(mean, i);
    for (let i = 0; i < centred.length; i++) {
      const [at, group] = [number(places, i), Math.floor(i / length)];
      if (at < 0) continue;
      let sum = number(dmean, i);
      for (let j = 0; j < length; j++)
        sum += 2 * number(dcovariance, i * length + j) * number(centred, group * length + j);
      sums[at] = number(sums, at) + sum / count;
    }
  });
  dx.data.set(sums);
}

/** A branch as rows of P numbers, whatever the weight's kernel: a smaller one sits at the centre. */
interface Branch {
  readonly rows: Float64Array;
  readonly gamma: Tensor;
  readonly beta: Tensor;
}

interface Sizes {
  readonly outChannels: number;
  readonly length: number;
  /** Where a 1×1 weight's numbers lie among a row's. */
  readonly taps: number;
  readonly centre: number;
  /** Output channels of a group. */
  readonly perGroup: number;
}

function sizesOf(geometry: ConvGeometry, mean: Tensor, outChannels: number): Sizes {
  return {
    outChannels,
    length: mean.shape[1] ?? 0,
    taps: geometry.kernel[0] * geometry.kernel[1],
    centre: centreTap(geometry) ?? 0,
    perGroup: outChannels / geometry.groups,
  };
}

function weightRows({ outChannels, length, taps, centre }: Sizes, { data }: Tensor): Float64Array {
  if (data.length === outChannels * length) return Float64Array.from(data);
  const rows = new Float64Array(outChannels * length);
  for (let i = 0; i < data.length; i++) rows[i * taps + centre] = number(data, i);
  return rows;
}

/** The skip: each channel reads itself. */
function unitRows({ outChannels, length, taps, centre }: Sizes): Float64Array {
  const rows = new Float64Array(outChannels * length);
  const inner = length / taps;
  for (let o = 0; o < outChannels; o++) rows[o * length + (o % inner) * taps + centre] = 1;
  return rows;
}

function dot(
  length: number,
  a: ArrayLike<number>,
  aFrom: number,
  b: ArrayLike<number>,
  bFrom: number,
): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += number(a, aFrom + i) * number(b, bFrom + i);
  return sum;
}

/** Branches of a node's operands from `head` on: (weight, gamma, beta or product) × n, then the skip's vectors. */
function branchesOf(
  sizes: Sizes,
  x: readonly Tensor[],
  head: number,
  count: number,
  skip: boolean,
): readonly Branch[] {
  const branches = Array.from({ length: count }, (_, i): Branch => {
    const first = head + i * 3;
    return {
      rows: weightRows(sizes, operand(x, first)),
      gamma: operand(x, first + 1),
      beta: operand(x, first + 2),
    };
  });
  if (!skip) return branches;
  const at = head + count * 3;
  return [...branches, { rows: unitRows(sizes), gamma: operand(x, at), beta: operand(x, at + 1) }];
}

/**
 *   mean_i = W_i m       T_i = W_i S       variance_i = diag(T_i W_iᵀ)       scale_i = gamma_i/√(variance_i + eps)
 *   W = Σ scale_i W_i    b = Σ beta_i − scale_i mean_i
 */
const mergeBranches: TrainingRules['mergeBranches'] = ({ attrs }, x, y) => {
  const [mean, covariance] = [operand(x, 0), operand(x, 1)];
  const [weight, bias] = [operand(y, 0).data, operand(y, 1).data];
  const sizes = sizesOf(attrs.geometry, mean, bias.length);
  const { outChannels, length, perGroup } = sizes;
  const count = (x.length - 2 - (attrs.skip ? 2 : 0)) / 3;
  const branches = branchesOf(sizes, x, 2, count, attrs.skip);
  const merged = new Float64Array(outChannels * length);
  const shift = new Float64Array(outChannels);
  branches.forEach(({ rows, gamma, beta }, i) => {
    const [means, variances] = [operand(y, 2 + 2 * i).data, operand(y, 3 + 2 * i).data];
    const products = i < count ? operand(y, 2 + 2 * branches.length + i).data : undefined;
    for (let o = 0; o < outChannels; o++) {
      const [group, row] = [Math.floor(o / perGroup) * length, o * length];
      const own = dot(length, rows, row, mean.data, group);
      let variance = 0;
      for (let j = 0; j < length; j++) {
        const product = dot(length, rows, row, covariance.data, (group + j) * length);
        variance += number(rows, row + j) * product;
        if (products) products[row + j] = product;
      }
      const scale = number(gamma.data, o) / Math.sqrt(variance + attrs.eps);
      means[o] = own;
      variances[o] = variance;
      shift[o] = number(shift, o) + number(beta.data, o) - scale * own;
      for (let j = 0; j < length; j++)
        merged[row + j] = number(merged, row + j) + scale * number(rows, row + j);
    }
  });
  weight.set(merged);
  bias.set(shift);
};

/** What reaches one row of a branch: the cotangents of its scale, mean and variance. */
interface RowGrads {
  readonly scale: number;
  readonly dscale: number;
  readonly dmean: number;
  readonly dvariance: number;
}

/**
 *   dscale_i = <dW, W_i> − db mean_i    dgamma_i = dscale_i/√(variance_i + eps)
 *   dmean_i = −db scale_i               dvariance_i = −dscale_i gamma_i (variance_i + eps)^(−3/2)/2
 *   dW_i = scale_i dW + dmean_i mᵀ + 2 dvariance_i T_i
 *   dm = Σ W_iᵀ dmean_i                 dS = Σ W_iᵀ diag(dvariance_i) W_i
 */
const mergeBranchesGrad: TrainingRules['mergeBranchesGrad'] = ({ attrs }, x, y) => {
  const { geometry, eps, skip } = attrs;
  const mean = operand(x, 0);
  const [dweight, dbias] = [operand(x, x.length - 2).data, operand(x, x.length - 1).data];
  const sizes = sizesOf(geometry, mean, dbias.length);
  const { outChannels, length, perGroup, taps, centre } = sizes;
  const count = (x.length - 3 - (skip ? 3 : 0)) / 5;
  const branches = branchesOf(sizes, x, 1, count, skip);
  const statistics = 1 + 3 * count + (skip ? 1 : 0);
  const dm = new Float64Array(mean.data.length);
  const ds = new Float64Array(operand(y, 1).data.length);
  branches.forEach(({ rows, gamma }, i) => {
    const means = operand(x, statistics + 2 * i).data;
    const variances = operand(x, statistics + 2 * i + 1).data;
    const isSkip = i === count;
    const own = isSkip ? undefined : operand(y, 2 + 2 * i).data;
    const products = operand(x, 3 + 3 * i).data;
    const dgamma = operand(y, (isSkip ? 2 : 3) + 2 * i).data;
    for (let o = 0; o < outChannels; o++) {
      const [group, row] = [Math.floor(o / perGroup), o * length];
      const inverse = 1 / Math.sqrt(number(variances, o) + eps);
      const dscale = dot(length, dweight, row, rows, row) - number(dbias, o) * number(means, o);
      const scale = number(gamma.data, o) * inverse;
      const grads: RowGrads = {
        scale,
        dscale,
        dmean: -number(dbias, o) * scale,
        dvariance: (-dscale * number(gamma.data, o) * inverse ** 3) / 2,
      };
      dgamma[o] = dscale * inverse;
      addMoments(length, rows, row, group, grads, dm, ds);
      for (let j = 0; own && j < length; j++) {
        const point = own.length < rows.length;
        if (point && j % taps !== centre) continue;
        own[point ? (row + j - centre) / taps : row + j] =
          scale * number(dweight, row + j) +
          grads.dmean * number(mean.data, group * length + j) +
          2 * grads.dvariance * number(products, row + j);
      }
    }
  });
  operand(y, 0).data.set(dm);
  operand(y, 1).data.set(ds);
};

function addMoments(
  length: number,
  rows: Float64Array,
  row: number,
  group: number,
  { dmean, dvariance }: RowGrads,
  dm: Float64Array,
  ds: Float64Array,
): void {
  for (let i = 0; i < length; i++) {
    const [at, w] = [group * length + i, number(rows, row + i)];
    dm[at] = number(dm, at) + dmean * w;
    for (let j = 0; j < length; j++)
      ds[at * length + j] = number(ds, at * length + j) + dvariance * w * number(rows, row + j);
  }
}

export const mergeRules = {
  patchMoments: ({ attrs }, x, y) => moments(operand(x, 0), attrs.geometry, operand(y, 0), operand(y, 1)),
  patchMomentsGrad: ({ attrs }, x, y) => momentsGrad(attrs.geometry, x, operand(y, 0)),
  mergeBranches,
  mergeBranchesGrad,
} satisfies Partial<TrainingRules>;
