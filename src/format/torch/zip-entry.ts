import { FormatError } from '../../errors.ts';
import type { ByteSource } from '../byte-source.ts';
import { crc32 } from './crc32.ts';
import { inflateRaw } from './inflate.ts';
import { type ZipEntry, zipDataOffset } from './zip-directory.ts';

/** The unpacked bytes of one zip entry, readable in parts. */
export interface ZipEntryReader {
  readonly size: number;
  /** @throws FormatError when the entry is damaged, or its CRC is wrong and `verify` was asked for */
  read(offset: number, length: number): Promise<Uint8Array>;
}

const chunkBytes = 1 << 20;

/**
 * A stored entry is read in place. A deflated one is inflated whole for every read (PyTorch never writes them).
 * With `verify` the CRC-32 of the whole entry is compared once, before the first bytes are handed out.
 */
export function openZipEntry(source: ByteSource, entry: ZipEntry, verify: boolean): ZipEntryReader {
  const where = `zip "${source.name}": entry ${JSON.stringify(entry.name)}`;
  let verified: Promise<void> | undefined;

  const checkStored = async (dataOffset: number): Promise<void> => {
    let crc = 0;
    for (let at = 0; at < entry.size; at += chunkBytes) {
      crc = crc32(await source.read(dataOffset + at, Math.min(chunkBytes, entry.size - at)), crc);
    }
    compareCrc(crc, entry, where);
  };
  const readStored = async (offset: number, length: number): Promise<Uint8Array> => {
    const dataOffset = await zipDataOffset(source, entry);
    if (verify) {
      verified ??= checkStored(dataOffset);
      await verified;
    }
    return source.read(dataOffset + offset, length);
  };
  const readDeflated = async (offset: number, length: number): Promise<Uint8Array> => {
    const packed = await source.read(await zipDataOffset(source, entry), entry.packedSize);
    const bytes = await inflateRaw(packed, entry.size, where);
    if (verify) compareCrc(crc32(bytes), entry, where);
    return bytes.subarray(offset, offset + length);
  };

  return {
    size: entry.size,
    read: async (offset, length) => {
      if (offset < 0 || length < 0 || offset + length > entry.size) {
        throw new FormatError(
          `${where}: ${length} bytes at ${offset} are needed, but it has ${entry.size}; the file is damaged.`,
        );
      }
      return entry.method === 'stored' ? readStored(offset, length) : readDeflated(offset, length);
    },
  };
}

function compareCrc(found: number, entry: ZipEntry, where: string): void {
  if (found === entry.crc) return;
  const hex = (word: number) => word.toString(16).padStart(8, '0');
  throw new FormatError(
    `${where}: its bytes have CRC ${hex(found)}, the archive says ${hex(entry.crc)}; fetch the file again, or read it with checksums: 'ignore' as PyTorch does.`,
    { found, expected: entry.crc },
  );
}
