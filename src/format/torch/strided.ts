import { FormatError } from '../../errors.ts';
import { dtypeBytes } from '../../tensor/dtype.ts';
import { elementCount, formatShape, type RawTensor } from '../../tensor/tensor.ts';
import type { TensorValue } from './pickle-value.ts';

/** A view that repeats elements (stride 0) may grow beyond its storage, but not beyond this. */
const maxExpandedBytes = 64 << 20;

/** Reads bytes of one storage. */
export type StorageReader = (byteOffset: number, length: number) => Promise<Uint8Array>;

/**
 * A strided view as contiguous row-major little-endian bytes: element (i, j, …) of the result is storage element
 * offset + i·stride[0] + j·stride[1] + …  Only the range the view spans is read.
 * @throws FormatError when a view expands a few elements to more than 64 MiB
 */
export async function readStrided(
  view: TensorValue,
  read: StorageReader,
  bigEndian: boolean,
): Promise<RawTensor> {
  const { dtype, shape, storage } = view;
  const width = dtypeBytes[dtype];
  const length = elementCount(shape) * width;
  if (length === 0) return { dtype, shape, bytes: new Uint8Array(0) };
  if (length > Math.max(storage.byteLength, maxExpandedBytes)) {
    throw new FormatError(
      `tensor ${formatShape(shape)} of ${length} bytes is an expanded view of ${storage.byteLength} stored bytes; the limit is ${maxExpandedBytes}. Save it with .contiguous() if it is meant.`,
      { length, stored: storage.byteLength },
    );
  }
  const { blockElements, outer } = splitContiguous(view);
  const span = spanElements(view) * width;
  const source = await read(storage.byteOffset + view.offset * width, span);
  const bytes = outer.length === 0 ? source : gather(source, outer, blockElements * width, width, length);
  return {
    dtype,
    shape,
    bytes: bigEndian ? swapBytes(bytes, dtype.startsWith('c') ? width / 2 : width) : bytes,
  };
}

/** Storage elements from the first to the last that a non-empty view touches. */
export function spanElements(view: Pick<TensorValue, 'shape' | 'stride'>): number {
  let last = 0;
  view.shape.forEach((dim, i) => {
    last += (dim - 1) * (view.stride[i] ?? 0);
  });
  return last + 1;
}

interface Axis {
  readonly dim: number;
  readonly stride: number;
}

/** The innermost dimensions that lie back to back form one block; dimensions of 1 do not matter. */
function splitContiguous(view: TensorValue): { blockElements: number; outer: readonly Axis[] } {
  const axes = view.shape
    .map((dim, i) => ({ dim, stride: view.stride[i] ?? 0 }))
    .filter((axis) => axis.dim > 1);
  let blockElements = 1;
  while (axes.at(-1)?.stride === blockElements) blockElements *= axes.pop()?.dim ?? 1;
  return { blockElements, outer: axes };
}

function gather(
  source: Uint8Array,
  axes: readonly Axis[],
  blockBytes: number,
  width: number,
  length: number,
): Uint8Array {
  const bytes = new Uint8Array(length);
  const index = axes.map(() => 0);
  let from = 0;
  for (let to = 0; to < length; to += blockBytes) {
    if (blockBytes > 16) bytes.set(source.subarray(from, from + blockBytes), to);
    else for (let i = 0; i < blockBytes; i++) bytes[to + i] = source[from + i] ?? 0;
    for (let d = axes.length - 1; d >= 0; d--) {
      const { dim, stride } = axes[d] ?? { dim: 1, stride: 0 };
      const next = (index[d] ?? 0) + 1;
      index[d] = next < dim ? next : 0;
      from += (next < dim ? 1 : 1 - dim) * stride * width;
      if (next < dim) break;
    }
  }
  return bytes;
}

function swapBytes(bytes: Uint8Array, width: number): Uint8Array {
  const swapped = new Uint8Array(bytes.byteLength);
  for (let at = 0; at < bytes.byteLength; at += width) {
    for (let i = 0; i < width; i++) swapped[at + i] = bytes[at + width - 1 - i] ?? 0;
  }
  return swapped;
}
