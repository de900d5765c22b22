import type { DType } from '../../tensor/dtype.ts';

/** The format's dtype names. Its sub-byte and scale-only types (F4, F6_*, F8_E8M0) have no use here. */
export const safetensorsNames = {
  f64: 'F64',
  f32: 'F32',
  f16: 'F16',
  bf16: 'BF16',
  f8e4m3: 'F8_E4M3',
  f8e5m2: 'F8_E5M2',
  i64: 'I64',
  i32: 'I32',
  i16: 'I16',
  i8: 'I8',
  u64: 'U64',
  u32: 'U32',
  u16: 'U16',
  u8: 'U8',
  bool: 'BOOL',
  c64: 'C64',
} as const satisfies Partial<Record<DType, string>>;

export type SafetensorsDType = keyof typeof safetensorsNames;

export const safetensorsDTypes: ReadonlyMap<string, SafetensorsDType> = new Map(
  Object.entries(safetensorsNames).flatMap(([dtype, name]) =>
    isSafetensorsDType(dtype) ? [[name, dtype] as const] : [],
  ),
);

export function isSafetensorsDType(dtype: string): dtype is SafetensorsDType {
  return Object.hasOwn(safetensorsNames, dtype);
}
