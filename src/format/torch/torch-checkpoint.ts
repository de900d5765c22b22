import { FormatError } from '../../errors.ts';
import type { Checkpoint, Container, LazyTensor } from '../checkpoint.ts';
import type { PickleValue, TensorValue } from './pickle-value.ts';
import { findStateDict } from './state-dict.ts';
import { readStrided, type StorageReader } from './strided.ts';

/** How the tensors of one PyTorch file are read. */
export interface TorchFile {
  /** For messages. */
  readonly where: string;
  readonly container: Container;
  readonly bigEndian: boolean;
  /** A reader of the storage with this key. */
  storage(key: string): StorageReader;
}

/** The checkpoint that an interpreted pickle describes. @throws FormatError when it holds no state dict */
export function torchCheckpoint(file: TorchFile, root: PickleValue): Checkpoint {
  const { tensors, metadata, extra } = locate(file.where, () => findStateDict(root));
  const lazy = new Map<string, LazyTensor>();
  for (const [name, view] of tensors) lazy.set(name, lazyTensor(file, name, view));
  return { container: file.container, tensors: lazy, metadata, extra };
}

function lazyTensor(file: TorchFile, name: string, view: TensorValue): LazyTensor {
  const { dtype, shape } = view;
  const read = async () => {
    try {
      return await readStrided(view, file.storage(view.storage.key), file.bigEndian);
    } catch (error) {
      throw placed(`${file.where}: tensor ${JSON.stringify(name)}`, error);
    }
  };
  return { name, dtype, shape, read };
}

/** Runs `work`; a FormatError out of it is told where it happened. */
export function locate<T>(where: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw placed(where, error);
  }
}

function placed(where: string, error: unknown): unknown {
  if (!(error instanceof FormatError)) return error;
  return new FormatError(`${where}: ${error.message}`, error.details, { cause: error });
}
