/** How numbers lie in memory. Kernels compute in f32 whatever their operands' storage. */
import type { Address, Vec, VectorAssembler } from '../assembler/vector-assembler.ts';
import { type DType, dtypeBytes } from '../tensor/dtype.ts';

export type StorageType = Extract<DType, 'f32' | 'bf16'>;

/** Bytes of one number. */
export function storageBytes(type: StorageType): number {
  return dtypeBytes[type];
}

/** Numbers of a storage type as f32; lanes from `count` on become 0. */
export function loadAs(
  a: VectorAssembler,
  type: StorageType,
  target: Vec,
  address: Address,
  count?: number,
): void {
  if (type === 'f32') a.load(target, address, count);
  else a.loadBf16(target, address, count);
}

export function storeAs(
  a: VectorAssembler,
  type: StorageType,
  address: Address,
  source: Vec,
  count?: number,
): void {
  if (type === 'f32') a.store(address, source, count);
  else a.storeBf16(address, source, count);
}
