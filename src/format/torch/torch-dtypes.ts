import type { DType } from '../../tensor/dtype.ts';

/** Typed storage classes of PyTorch, under `torch.` (also `torch.cuda.`). Quantized ones cannot be read. */
const storages: Readonly<Record<string, DType>> = {
  DoubleStorage: 'f64',
  FloatStorage: 'f32',
  HalfStorage: 'f16',
  BFloat16Storage: 'bf16',
  LongStorage: 'i64',
  IntStorage: 'i32',
  ShortStorage: 'i16',
  CharStorage: 'i8',
  ByteStorage: 'u8',
  BoolStorage: 'bool',
  ComplexFloatStorage: 'c64',
  ComplexDoubleStorage: 'c128',
};

/** `torch.dtype` names that tensors over untyped storages carry. */
const dtypes: Readonly<Record<string, DType>> = {
  float64: 'f64',
  float32: 'f32',
  float16: 'f16',
  bfloat16: 'bf16',
  float8_e4m3fn: 'f8e4m3',
  float8_e5m2: 'f8e5m2',
  int64: 'i64',
  int32: 'i32',
  int16: 'i16',
  int8: 'i8',
  uint64: 'u64',
  uint32: 'u32',
  uint16: 'u16',
  uint8: 'u8',
  bool: 'bool',
  complex64: 'c64',
  complex128: 'c128',
};

/** Bytes an element takes in storages whose elements cannot be read, so that the file can still be walked. */
const opaqueStorageBytes: Readonly<Record<string, number>> = {
  UntypedStorage: 1,
  QInt8Storage: 1,
  QUInt8Storage: 1,
  QUInt4x2Storage: 1,
  QUInt2x4Storage: 1,
  QInt32Storage: 4,
};

const underTorch = /^torch\.(?:cuda\.|storage\.)?(\w+)$/;

function lookUp<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  const key = underTorch.exec(name)?.[1];
  return key !== undefined && Object.hasOwn(table, key) ? table[key] : undefined;
}

export function storageDType(className: string): DType | undefined {
  return lookUp(storages, className);
}

export function opaqueStorageWidth(className: string): number | undefined {
  return lookUp(opaqueStorageBytes, className);
}

export function torchDType(name: string): DType | undefined {
  return lookUp(dtypes, name);
}
