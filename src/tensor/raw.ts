import { FormatError } from '../errors.ts';
import { type DType, dtypeBytes } from './dtype.ts';
import {
  bfloat16ToNumber,
  float8e4m3ToNumber,
  float8e5m2ToNumber,
  float16ToNumber,
  numberToBfloat16,
  numberToFloat16,
} from './half.ts';
import { elementCount, formatShape, type RawTensor, type Tensor } from './tensor.ts';

type Reader = (view: DataView, byte: number) => number;

/** Reads one element as a number; absent where a number cannot hold it (complex). */
const readers: Readonly<Partial<Record<DType, Reader>>> = {
  f64: (v, o) => v.getFloat64(o, true),
  f32: (v, o) => v.getFloat32(o, true),
  f16: (v, o) => float16ToNumber(v.getUint16(o, true)),
  bf16: (v, o) => bfloat16ToNumber(v.getUint16(o, true)),
  f8e4m3: (v, o) => float8e4m3ToNumber(v.getUint8(o)),
  f8e5m2: (v, o) => float8e5m2ToNumber(v.getUint8(o)),
  i64: (v, o) => Number(v.getBigInt64(o, true)),
  i32: (v, o) => v.getInt32(o, true),
  i16: (v, o) => v.getInt16(o, true),
  i8: (v, o) => v.getInt8(o),
  u64: (v, o) => Number(v.getBigUint64(o, true)),
  u32: (v, o) => v.getUint32(o, true),
  u16: (v, o) => v.getUint16(o, true),
  u8: (v, o) => v.getUint8(o),
  bool: (v, o) => (v.getUint8(o) ? 1 : 0),
};

/** Floats are stored little endian; where the machine's are too, as almost everywhere, bytes are copied as they are. */
const storedAsHere = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Stored bytes as numbers; f64 stays f64, everything else becomes f32. @throws FormatError for complex data */
export function rawToTensor(raw: RawTensor): Tensor {
  const count = elementCount(raw.shape);
  const width = dtypeBytes[raw.dtype];
  const read = readers[raw.dtype];
  if (!read)
    throw new FormatError(`tensor ${formatShape(raw.shape)} of dtype ${raw.dtype} has no real numbers.`);
  if (raw.bytes.byteLength !== count * width) {
    throw new FormatError(
      `tensor ${formatShape(raw.shape)} of dtype ${raw.dtype} needs ${count * width} bytes, found ${raw.bytes.byteLength}.`,
    );
  }
  const data = raw.dtype === 'f64' ? new Float64Array(count) : new Float32Array(count);
  if (storedAsHere && (raw.dtype === 'f32' || raw.dtype === 'f64')) {
    new Uint8Array(data.buffer).set(raw.bytes);
    return { shape: raw.shape, data };
  }
  const view = new DataView(raw.bytes.buffer, raw.bytes.byteOffset, raw.bytes.byteLength);
  for (let i = 0; i < count; i++) data[i] = read(view, i * width);
  return { shape: raw.shape, data };
}

type FloatDType = 'f64' | 'f32' | 'f16' | 'bf16';

const writers: Readonly<Record<FloatDType, (view: DataView, byte: number, value: number) => void>> = {
  f64: (v, o, x) => v.setFloat64(o, x, true),
  f32: (v, o, x) => v.setFloat32(o, x, true),
  f16: (v, o, x) => v.setUint16(o, numberToFloat16(x), true),
  bf16: (v, o, x) => v.setUint16(o, numberToBfloat16(x), true),
};

/** Numbers as stored bytes of a floating dtype, rounded to nearest even. */
export function tensorToRaw(source: Tensor, dtype: FloatDType): RawTensor {
  const width = dtypeBytes[dtype];
  const bytes = new Uint8Array(source.data.length * width);
  const here = source.data instanceof Float64Array ? 'f64' : 'f32';
  if (storedAsHere && dtype === here) {
    const { buffer, byteOffset, byteLength } = source.data;
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength));
    return { dtype, shape: source.shape, bytes };
  }
  const view = new DataView(bytes.buffer);
  const write = writers[dtype];
  for (let i = 0; i < source.data.length; i++) write(view, i * width, source.data[i] ?? 0);
  return { dtype, shape: source.shape, bytes };
}
