/** How numbers lie in memory. Kernels compute in f32 whatever their operands' storage. */
import type { Address, Vec, VectorAssembler } from '../../assembler/vector-assembler.ts';
import { type DType, dtypeBytes } from '../../tensor/dtype.ts';

export type StorageType = Extract<DType, 'f32' | 'bf16'>;

/** Bytes of one number. */
export function storageBytes(type: StorageType): number {
  return dtypeBytes[type];
}

/**
 * Numbers as a sum of bf16 terms, for matrix products: each pixel holds all channels' rounded values, then, where
 * there are two terms, what rounding took away from them. Two terms keep 16 bits of 24.
 */
export interface Terms {
  readonly terms: 1 | 2;
}

/** What a tensor of pixels holds. */
export type PixelStorage = 'f32' | Terms;

export function storageName(storage: PixelStorage): string {
  if (storage === 'f32') return 'f32';
  return storage.terms === 1 ? 'bf16' : 'bf16x2';
}

export function pixelBytes(storage: PixelStorage, channels: number): number {
  return channels * (storage === 'f32' ? storageBytes('f32') : storage.terms * storageBytes('bf16'));
}

/** From one channel to the next. */
export function channelBytes(storage: PixelStorage): number {
  return storageBytes(storage === 'f32' ? 'f32' : 'bf16');
}

/** Stores lanes of a pixel of `channels`; the source is spent. */
export function storePixel(
  a: VectorAssembler,
  storage: PixelStorage,
  channels: number,
  address: Address,
  source: Vec,
  count?: number,
): void {
  if (storage === 'f32') {
    a.store(address, source, count);
    return;
  }
  a.storeBf16(address, source, count);
  if (storage.terms === 1) return;
  const rounded = a.newVec();
  a.loadBf16(rounded, address, count);
  a.binary('subtract', source, source, rounded);
  a.storeBf16({ ...address, offset: address.offset + channels * storageBytes('bf16') }, source, count);
  a.freeVec(rounded);
}

/** One vector of numbers as f32; lanes from `count` on become 0. */
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
