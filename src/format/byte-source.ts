import { FormatError } from '../errors.ts';

/** Random access to the bytes of one file, wherever it lies. */
export interface ByteSource {
  /** For messages: a file name or address. */
  readonly name: string;
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset`. The array may be a view of shared memory: treat it as read-only.
   * @throws FormatError when the range does not lie inside the file
   */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** @throws FormatError when [offset, offset+length) does not lie inside `source` */
export function checkRange(source: Pick<ByteSource, 'name' | 'size'>, offset: number, length: number): void {
  const sound = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (sound && offset + length <= source.size) return;
  throw new FormatError(
    `"${source.name}": ${length} bytes at offset ${offset} are needed, but the file has ${source.size}; it is cut off or damaged.`,
    { offset, length, size: source.size },
  );
}

/** Bytes already in memory; `read` gives views, not copies. */
export function memorySource(bytes: Uint8Array, name = 'memory'): ByteSource {
  const source = { name, size: bytes.byteLength };
  return {
    ...source,
    read: async (offset, length) => {
      checkRange(source, offset, length);
      return bytes.subarray(offset, offset + length);
    },
  };
}
