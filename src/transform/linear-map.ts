import { GraphError } from '../errors.ts';
import { type ConvGeometry, isCentred, isUnitStride } from '../graph/geometry.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** A convolution with bias, in f64: what every branch of a block is once its batch norm is folded. */
export interface LinearMap {
  readonly geometry: ConvGeometry;
  readonly outChannels: number;
  /** [O, I/groups, kH, kW] */
  readonly weight: Float64Array;
  /** [O] */
  readonly bias: Float64Array;
}

export interface Norm {
  readonly gamma: Tensor;
  readonly beta: Tensor;
  readonly mean: Tensor;
  readonly variance: Tensor;
  readonly eps: number;
}

export function convMap(geometry: ConvGeometry, weight: Tensor, bias: Tensor | undefined): LinearMap {
  const outChannels = weight.shape[0] ?? 0;
  return {
    geometry,
    outChannels,
    weight: Float64Array.from(weight.data),
    bias: bias ? Float64Array.from(bias.data) : new Float64Array(outChannels),
  };
}

/** The skip branch as a 1×1 convolution in the block's groups: element [i, i mod (C/groups)] is 1. */
export function identityMap(channels: number, groups: number): LinearMap {
  const inner = channels / groups;
  const weight = new Float64Array(channels * inner);
  for (let i = 0; i < channels; i++) weight[i * inner + (i % inner)] = 1;
  const geometry: ConvGeometry = {
    kernel: [1, 1],
    stride: [1, 1],
    padding: [0, 0, 0, 0],
    dilation: [1, 1],
    groups,
  };
  return { geometry, outChannels: channels, weight, bias: new Float64Array(channels) };
}

/**
 * A batch norm after a convolution, with s = gamma/√(variance + eps):
 *   w'[o] = w[o]·s[o]        b'[o] = (b[o] − mean[o])·s[o] + beta[o]
 * @see arXiv:2206.04040 section 3.2; arXiv:2101.03697 equation 3
 */
export function foldNorm(map: LinearMap, norm: Norm): LinearMap {
  const weight = Float64Array.from(map.weight);
  const bias = new Float64Array(map.outChannels);
  const perChannel = weight.length / map.outChannels;
  for (let o = 0; o < map.outChannels; o++) {
    const scale = (norm.gamma.data[o] ?? 0) / Math.sqrt((norm.variance.data[o] ?? 0) + norm.eps);
    for (let i = o * perChannel; i < (o + 1) * perChannel; i++) weight[i] = (weight[i] ?? 0) * scale;
    bias[o] = ((map.bias[o] ?? 0) - (norm.mean.data[o] ?? 0)) * scale + (norm.beta.data[o] ?? 0);
  }
  return { ...map, weight, bias };
}

/**
 * Σ maps as one convolution of the given geometry; kernels are placed so that their centres meet.
 * @throws GraphError naming `block` when one of them cannot be expressed in that geometry
 */
export function sumMaps(block: string, maps: readonly LinearMap[], target: ConvGeometry): LinearMap {
  const outChannels = maps[0]?.outChannels ?? 0;
  const inner = innerChannels(maps, target);
  const window = target.kernel[0] * target.kernel[1];
  const weight = new Float64Array(outChannels * inner * window);
  const bias = new Float64Array(outChannels);
  for (const map of maps) {
    const place = tapPlaces(block, map.geometry, target);
    for (let o = 0; o < outChannels; o++) {
      bias[o] = (bias[o] ?? 0) + (map.bias[o] ?? 0);
      for (let c = 0; c < inner; c++)
        place.forEach((to, from) => {
          const at = (o * inner + c) * window + to;
          weight[at] = (weight[at] ?? 0) + (map.weight[(o * inner + c) * place.length + from] ?? 0);
        });
    }
  }
  return { geometry: target, outChannels, weight, bias };
}

function innerChannels(maps: readonly LinearMap[], target: ConvGeometry): number {
  const same = maps.find((map) => map.geometry === target) ?? maps[0];
  if (same === undefined) return 0;
  return same.weight.length / same.outChannels / (same.geometry.kernel[0] * same.geometry.kernel[1]);
}

/** For each tap of `from`, the index of the tap of `to` that reads the same input pixel. */
function tapPlaces(block: string, from: ConvGeometry, to: ConvGeometry): readonly number[] {
  const sameWindow =
    from.kernel.join() === to.kernel.join() &&
    from.padding.join() === to.padding.join() &&
    from.dilation.join() === to.dilation.join();
  if (from.stride.join() !== to.stride.join() || from.groups !== to.groups)
    throw new GraphError(
      `block "${block}": branches of stride ${from.stride.join('×')} groups ${from.groups} and stride ${to.stride.join('×')} groups ${to.groups} cannot become one convolution.`,
    );
  if (!sameWindow && !(isCentred(from) && isCentred(to)))
    throw new GraphError(
      `block "${block}": a ${from.kernel.join('×')} branch fits a ${to.kernel.join('×')} convolution only when both have padding = dilation·(kernel−1)/2; found paddings [${from.padding.join(',')}] and [${to.padding.join(',')}].`,
    );
  const rows = axisPlaces(from, to, 0, sameWindow);
  const columns = axisPlaces(from, to, 1, sameWindow);
  if (rows === undefined || columns === undefined)
    throw new GraphError(
      `block "${block}": the taps of a ${from.kernel.join('×')} branch with dilation ${from.dilation.join('×')} are not among those of a ${to.kernel.join('×')} convolution with dilation ${to.dilation.join('×')}.`,
    );
  return rows.flatMap((row) => columns.map((column) => row * to.kernel[1] + column));
}

function axisPlaces(
  from: ConvGeometry,
  to: ConvGeometry,
  axis: 0 | 1,
  same: boolean,
): readonly number[] | undefined {
  const places: number[] = [];
  for (let i = 0; i < from.kernel[axis]; i++) {
    const offset = (2 * i - from.kernel[axis] + 1) * from.dilation[axis];
    const place = same ? i : (offset / to.dilation[axis] + to.kernel[axis] - 1) / 2;
    if (!Number.isInteger(place) || place < 0 || place >= to.kernel[axis]) return undefined;
    places.push(place);
  }
  return places;
}

/** The geometry all branches fit into: that of the branch whose window reaches furthest. */
export function widestGeometry(maps: readonly LinearMap[]): ConvGeometry | undefined {
  const reach = ({ kernel, dilation }: ConvGeometry): number =>
    ((kernel[0] - 1) * dilation[0] + 1) * ((kernel[1] - 1) * dilation[1] + 1) * 1024 + kernel[0] * kernel[1];
  return maps
    .map((map) => map.geometry)
    .reduce<ConvGeometry | undefined>(
      (best, g) => (best === undefined || reach(g) > reach(best) ? g : best),
      undefined,
    );
}

/** Whether an identity can stand beside a convolution of this geometry. */
export function allowsIdentity(geometry: ConvGeometry): boolean {
  return isUnitStride(geometry) && isCentred(geometry);
}
