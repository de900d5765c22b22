import type { DType } from '../tensor/dtype.ts';
import type { RawTensor, Shape } from '../tensor/tensor.ts';

/** A tensor of a file, described but not yet read. */
export interface LazyTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  /** Row-major little-endian bytes. @throws FormatError when the file gives less or other than it said */
  read(): Promise<RawTensor>;
}

export type Container = 'safetensors' | 'torch-zip' | 'torch-legacy';

/** What a reader found in one checkpoint file; every reader gives this. */
export interface Checkpoint {
  readonly container: Container;
  /** In the order of the file. */
  readonly tensors: ReadonlyMap<string, LazyTensor>;
  /** Plain facts stored beside the tensors: safetensors `__metadata__`, or a torch file's epoch, arch, meta.… */
  readonly metadata: Readonly<Record<string, string>>;
  readonly extra: CheckpointExtra;
}

/** For `inspect`: how the tensors were found and what else lies in the file. */
export interface CheckpointExtra {
  /** Dotted path of the dict the tensors come from, such as `state_dict`; empty for the top level. */
  readonly weightsAt: string;
  /** A prefix every name had and lost, such as `module.`; empty when there was none. */
  readonly strippedPrefix: string;
  /** One line for every other thing, by dotted path: `optimizer` → `dict of 2`. */
  readonly others: ReadonlyMap<string, string>;
}

export interface ReadOptions {
  /**
   * `verify` (the default) compares the CRC-32 of a zip entry when a tensor in it is first read, and refuses a
   * wrong one. PyTorch itself does not look; `ignore` does the same.
   */
  readonly checksums?: 'verify' | 'ignore';
}
