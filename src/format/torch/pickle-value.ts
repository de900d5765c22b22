import type { DType } from '../../tensor/dtype.ts';
import type { Shape } from '../../tensor/tensor.ts';

/**
 * What a PyTorch pickle can say. Nothing here can act: a class or function is only its name, and an object of an
 * unknown class is only that name and its state.
 */
export type PickleValue = PickleScalar | Uint8Array | PickleNode;
export type PickleScalar = null | boolean | number | bigint | string;

export type PickleNode =
  | { readonly kind: 'tuple'; readonly items: readonly PickleValue[] }
  | PickleList
  | PickleDict
  | GlobalValue
  | ObjectValue
  | StorageValue
  | TensorValue;

/** A list or a set. */
export interface PickleList {
  readonly kind: 'list';
  readonly items: PickleValue[];
}

export interface PickleDict {
  readonly kind: 'dict';
  readonly entries: Map<PickleValue, PickleValue>;
}

/** A class or function by its dotted name, `torch.FloatStorage`. */
export interface GlobalValue {
  readonly kind: 'global';
  readonly name: string;
}

/** An instance of a class without meaning here; its contents are dropped. */
export interface ObjectValue {
  readonly kind: 'object';
  readonly className: string;
}

/** Bytes elsewhere in the file that tensors are views of. */
export interface StorageValue {
  readonly kind: 'storage';
  readonly key: string;
  /** Undefined for untyped bytes and for element types that cannot be read. */
  readonly dtype: DType | undefined;
  /** The class as written, for messages. */
  readonly className: string;
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** A strided view of a storage, checked to lie inside it. Offset and strides count elements. */
export interface TensorValue {
  readonly kind: 'tensor';
  readonly storage: StorageValue;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly stride: readonly number[];
  readonly offset: number;
}

export function isNode(value: PickleValue | undefined): value is PickleNode {
  return typeof value === 'object' && value !== null && !(value instanceof Uint8Array);
}

/** A few words for messages and `inspect`. */
export function describeValue(value: PickleValue): string {
  if (value instanceof Uint8Array) return `${value.byteLength} bytes`;
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
  if (!isNode(value)) return value === null ? 'None' : String(value);
  switch (value.kind) {
    case 'tuple':
    case 'list':
      return `${value.kind} of ${value.items.length}`;
    case 'dict':
      return `dict of ${value.entries.size}`;
    case 'global':
      return `the name ${shorten(value.name)}`;
    case 'object':
      return `${shorten(value.className)} object`;
    case 'storage':
      return `${value.className} of ${value.byteLength} bytes`;
    case 'tensor':
      return `${value.dtype} tensor [${value.shape.join(',')}]`;
  }
}

function shorten(name: string): string {
  return name.length > 120 ? `${name.slice(0, 120)}…` : name;
}
