import { ShapeError } from '../errors.ts';
import type { DType } from './dtype.ts';

export type Shape = readonly number[];

/** Numbers to compute with: row-major, contiguous. Activations are NHWC, convolution weights OIHW. */
export interface Tensor<D extends Float32Array | Float64Array = Float32Array | Float64Array> {
  readonly shape: Shape;
  readonly data: D;
}

/** A tensor as a file stores it: row-major little-endian bytes of `dtype`. */
export interface RawTensor {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly bytes: Uint8Array;
}

/** Named parameters of one net, in f32 or f64. */
export type Weights = ReadonlyMap<string, Tensor>;

export function elementCount(shape: Shape): number {
  let count = 1;
  for (const dim of shape) count *= dim;
  return count;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

export function formatShape(shape: Shape): string {
  return `[${shape.join(',')}]`;
}

/** @throws ShapeError when `data` has another length than `shape` asks for */
export function tensor<D extends Float32Array | Float64Array>(shape: Shape, data: D): Tensor<D> {
  const expected = elementCount(shape);
  if (data.length !== expected) {
    throw new ShapeError(
      `tensor: shape ${formatShape(shape)} needs ${expected} values, but the data has ${data.length}.`,
      { shape, length: data.length },
    );
  }
  return { shape, data };
}

export function zeros(shape: Shape): Tensor<Float32Array> {
  return { shape, data: new Float32Array(elementCount(shape)) };
}

export function toFloat64(source: Tensor): Tensor<Float64Array> {
  return { shape: source.shape, data: Float64Array.from(source.data) };
}

/** Largest |a−b| and the same divided by the largest |b|: the measure every comparison here reports. */
export function maxDifference(a: Tensor, b: Tensor): { absolute: number; relative: number } {
  if (a.data.length !== b.data.length) {
    throw new ShapeError(
      `maxDifference: cannot compare ${formatShape(a.shape)} with ${formatShape(b.shape)}.`,
    );
  }
  let absolute = 0;
  let scale = 0;
  for (let i = 0; i < a.data.length; i++) {
    const x = a.data[i] ?? Number.NaN;
    const y = b.data[i] ?? Number.NaN;
    const difference = Math.abs(x - y);
    if (!(difference <= absolute)) absolute = difference; // NaN wins
    scale = Math.max(scale, Math.abs(y));
  }
  return { absolute, relative: scale > 0 ? absolute / scale : absolute };
}
