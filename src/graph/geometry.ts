import { ShapeError } from '../errors.ts';

/** Along height, then width. */
export type Pair = readonly [height: number, width: number];
export type Padding = readonly [top: number, left: number, bottom: number, right: number];

/** How a sliding window reads its input; shared by convolution and pooling. */
export interface WindowGeometry {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly padding: Padding;
  readonly dilation: Pair;
}

/**
 * The one value from which every branch of a block and its fused convolution derive. Padding reads zeros.
 * Stride, padding and dilation never travel loose: that is how the public implementations came to lose dilation.
 */
export interface ConvGeometry extends WindowGeometry {
  readonly groups: number;
}

export interface GeometryOptions {
  readonly kernel: number | Pair;
  readonly stride?: number | Pair;
  readonly dilation?: number | Pair;
  /** Default: `dilation·(kernel−1)/2` on every side, which keeps the size at stride 1. */
  readonly padding?: number | Pair | Padding;
  readonly groups?: number;
}

const pair = (value: number | Pair): Pair => (typeof value === 'number' ? [value, value] : value);

function resolvePadding(padding: GeometryOptions['padding'], kernel: Pair, dilation: Pair): Padding {
  if (padding === undefined) {
    const top = Math.floor((dilation[0] * (kernel[0] - 1)) / 2);
    const left = Math.floor((dilation[1] * (kernel[1] - 1)) / 2);
    return [top, left, top, left];
  }
  if (typeof padding === 'number') return [padding, padding, padding, padding];
  return padding.length === 4 ? padding : [padding[0], padding[1], padding[0], padding[1]];
}

/** @throws ShapeError when a size is not a positive integer or a padding is negative */
export function convGeometry(options: GeometryOptions): ConvGeometry {
  const kernel = pair(options.kernel);
  const stride = pair(options.stride ?? 1);
  const dilation = pair(options.dilation ?? 1);
  const padding = resolvePadding(options.padding, kernel, dilation);
  const geometry: ConvGeometry = { kernel, stride, padding, dilation, groups: options.groups ?? 1 };
  const positive = [...kernel, ...stride, ...dilation, geometry.groups];
  if (!positive.every((n) => Number.isSafeInteger(n) && n > 0)) {
    throw new ShapeError(
      `geometry: kernel, stride, dilation and groups must be positive integers, found ${formatGeometry(geometry)}.`,
    );
  }
  if (!padding.every((n) => Number.isSafeInteger(n) && n >= 0)) {
    throw new ShapeError(`geometry: padding must be integers of 0 or more, found [${padding.join(',')}].`);
  }
  return geometry;
}

/** Rows and columns a window of this geometry gives; may be ≤ 0 when the input is too small. */
export function windowOutputSize(geometry: WindowGeometry, height: number, width: number): Pair {
  const [top, left, bottom, right] = geometry.padding;
  const size = (n: number, pad: number, axis: 0 | 1): number =>
    Math.floor(
      (n + pad - geometry.dilation[axis] * (geometry.kernel[axis] - 1) - 1) / geometry.stride[axis],
    ) + 1;
  return [size(height, top + bottom, 0), size(width, left + right, 1)];
}

/** True when padding = dilation·(kernel−1)/2 on every side: the window is centred on its output position. */
export function isCentred(geometry: WindowGeometry): boolean {
  const [top, left, bottom, right] = geometry.padding;
  const vertical = geometry.dilation[0] * (geometry.kernel[0] - 1);
  const horizontal = geometry.dilation[1] * (geometry.kernel[1] - 1);
  return top === bottom && left === right && top * 2 === vertical && left * 2 === horizontal;
}

/** The tap, counted row by row, that reads what a 1×1 kernel of the same stride reads, if there is one. */
export function centreTap(geometry: WindowGeometry): number | undefined {
  const [height, width] = geometry.kernel;
  if (!isCentred(geometry) || height % 2 === 0 || width % 2 === 0) return undefined;
  return ((height - 1) / 2) * width + (width - 1) / 2;
}

/** The 1×1 branch beside a k×k one: same stride and groups, nothing to pad or dilate. Needs a centred geometry. */
export function pointGeometry(geometry: ConvGeometry): ConvGeometry {
  return convGeometry({ kernel: 1, stride: geometry.stride, padding: 0, groups: geometry.groups });
}

export function isUnitStride(geometry: WindowGeometry): boolean {
  return geometry.stride[0] === 1 && geometry.stride[1] === 1;
}

export function formatGeometry(geometry: ConvGeometry): string {
  const { kernel, stride, dilation, padding, groups } = geometry;
  const parts = [`k${kernel.join('x')}`, `s${stride.join('x')}`, `p${padding.join(',')}`];
  if (dilation[0] !== 1 || dilation[1] !== 1) parts.push(`d${dilation.join('x')}`);
  if (groups !== 1) parts.push(`g${groups}`);
  return parts.join(' ');
}
