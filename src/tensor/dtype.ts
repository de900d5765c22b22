/** Element types that checkpoints store. `c64`/`c128` are complex pairs; float8 as in safetensors and PyTorch. */
export const dtypeBytes = {
  f64: 8,
  f32: 4,
  f16: 2,
  bf16: 2,
  f8e4m3: 1,
  f8e5m2: 1,
  i64: 8,
  i32: 4,
  i16: 2,
  i8: 1,
  u64: 8,
  u32: 4,
  u16: 2,
  u8: 1,
  bool: 1,
  c64: 8,
  c128: 16,
} as const;

export type DType = keyof typeof dtypeBytes;
