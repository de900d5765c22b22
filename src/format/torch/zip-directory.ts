import { FormatError } from '../../errors.ts';
import type { ByteSource } from '../byte-source.ts';

/** One file in a zip archive, as the central directory describes it. */
export interface ZipEntry {
  readonly name: string;
  readonly method: 'stored' | 'deflated';
  readonly crc: number;
  /** Bytes in the archive. */
  readonly packedSize: number;
  /** Bytes after unpacking. */
  readonly size: number;
  readonly headerOffset: number;
}

const signatures = {
  local: 0x04034b50,
  central: 0x02014b50,
  end: 0x06054b50,
  end64: 0x06064b50,
  locator64: 0x07064b50,
};
const methods: ReadonlyMap<number, ZipEntry['method']> = new Map([
  [0, 'stored'],
  [8, 'deflated'],
]);
/** Deflate cannot do better than 1032:1 (RFC 1951: 258 bytes from two bits); a higher claim is a bomb. */
const maxDeflateRatio = 1032;
/** An honest net's largest tensor is far below; guards memory against entries made of zeros. */
const maxInflatedBytes = 1 << 30;

/**
 * Reads the central directory, so that entries can be read in any order and in parts. Zip64 is understood;
 * encryption, split archives and other methods than stored and deflate are not.
 * @throws FormatError when the directory is damaged or an entry does not lie inside the file
 * @see https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
 */
export async function readZipDirectory(source: ByteSource): Promise<ReadonlyMap<string, ZipEntry>> {
  const where = `zip "${source.name}"`;
  const { offset, size, entries, limit } = await findDirectory(source, where);
  if (offset + size > limit || entries * 46 > size) {
    throw new FormatError(
      `${where}: a directory of ${entries} entries in ${size} bytes at ${offset} cannot end before byte ${limit}; the file is damaged.`,
    );
  }
  const view = viewOf(await source.read(offset, size));
  const directory = new Map<string, ZipEntry>();
  let at = 0;
  for (let i = 0; i < entries; i++) {
    const { entry, next } = readCentralEntry(view, at, where);
    at = next;
    checkEntry(entry, offset, where);
    if (directory.has(entry.name)) {
      throw new FormatError(`${where}: two entries are named ${JSON.stringify(entry.name)}.`);
    }
    directory.set(entry.name, entry);
  }
  return directory;
}

/** Where an entry's bytes begin: its local header has a name and extra field of its own length. */
export async function zipDataOffset(source: ByteSource, entry: ZipEntry): Promise<number> {
  const header = viewOf(await source.read(entry.headerOffset, 30));
  if (header.getUint32(0, true) !== signatures.local) {
    throw new FormatError(
      `zip "${source.name}": no local header for ${JSON.stringify(entry.name)} at byte ${entry.headerOffset}; the file is damaged.`,
    );
  }
  return entry.headerOffset + 30 + header.getUint16(26, true) + header.getUint16(28, true);
}

interface DirectoryPlace {
  readonly offset: number;
  readonly size: number;
  readonly entries: number;
  /** Where the end record begins: nothing of the directory may lie beyond. */
  readonly limit: number;
}

/** The end record is the last 22 bytes, or earlier when a comment of at most 65535 bytes follows it. */
async function findDirectory(source: ByteSource, where: string): Promise<DirectoryPlace> {
  const tailStart = Math.max(0, source.size - 22 - 0xffff);
  const tail = viewOf(await source.read(tailStart, source.size - tailStart));
  for (let at = tail.byteLength - 22; at >= 0; at--) {
    if (tail.getUint32(at, true) !== signatures.end) continue;
    if (at + 22 + tail.getUint16(at + 20, true) !== tail.byteLength) continue;
    const limit = tailStart + at;
    const disks = tail.getUint16(at + 4, true) + tail.getUint16(at + 6, true);
    const entries = tail.getUint16(at + 10, true);
    const size = tail.getUint32(at + 12, true);
    const offset = tail.getUint32(at + 16, true);
    if (entries === 0xffff || size === 0xffffffff || offset === 0xffffffff) {
      return findDirectory64(source, limit, where);
    }
    if (disks !== 0) throw new FormatError(`${where}: is one part of a split archive; join the parts first.`);
    return { offset, size, entries, limit };
  }
  throw new FormatError(
    `${where}: starts like a zip archive, but has no end record; the file is cut off, fetch it again.`,
  );
}

async function findDirectory64(source: ByteSource, endAt: number, where: string): Promise<DirectoryPlace> {
  const locator = endAt >= 20 ? viewOf(await source.read(endAt - 20, 20)) : undefined;
  if (locator?.getUint32(0, true) === signatures.locator64) {
    const limit = safeUint64(locator, 8, where);
    const end = viewOf(await source.read(limit, 56));
    if (end.getUint32(0, true) === signatures.end64) {
      const entries = safeUint64(end, 32, where);
      return { entries, size: safeUint64(end, 40, where), offset: safeUint64(end, 48, where), limit };
    }
  }
  throw new FormatError(
    `${where}: the end record points to a zip64 record that is not there; the file is damaged.`,
  );
}

function readCentralEntry(view: DataView, at: number, where: string): { entry: ZipEntry; next: number } {
  const cut = () => new FormatError(`${where}: the directory is damaged at byte ${at}.`);
  if (at + 46 > view.byteLength || view.getUint32(at, true) !== signatures.central) throw cut();
  const nameAt = at + 46;
  const extraAt = nameAt + view.getUint16(at + 28, true);
  const commentAt = extraAt + view.getUint16(at + 30, true);
  const next = commentAt + view.getUint16(at + 32, true);
  if (next > view.byteLength) throw cut();
  const name = new TextDecoder().decode(
    new Uint8Array(view.buffer, view.byteOffset + nameAt, extraAt - nameAt),
  );
  const method = methods.get(view.getUint16(at + 10, true));
  if (!method || view.getUint16(at + 8, true) & 1) {
    throw new FormatError(
      `${where}: entry ${JSON.stringify(name)} is encrypted or packed with method ${view.getUint16(at + 10, true)}; only stored and deflated ones can be read.`,
    );
  }
  const wide = wideFields(view, at, extraAt, commentAt, where);
  const entry = { name, method, crc: view.getUint32(at + 16, true), ...wide };
  return { entry, next };
}

/** Sizes and offset; where the 32-bit field is all ones, the zip64 extra field (id 1) has it, in this order. */
function wideFields(view: DataView, at: number, extraAt: number, extraEnd: number, where: string) {
  let wideAt = extraEnd;
  let wideEnd = extraEnd;
  for (let field = extraAt; field + 4 <= extraEnd; field += 4 + view.getUint16(field + 2, true)) {
    if (view.getUint16(field, true) !== 1) continue;
    wideAt = field + 4;
    wideEnd = Math.min(extraEnd, wideAt + view.getUint16(field + 2, true));
    break;
  }
  const read = (field: number): number => {
    const narrow = view.getUint32(field, true);
    if (narrow !== 0xffffffff) return narrow;
    wideAt += 8;
    if (wideAt > wideEnd) throw new FormatError(`${where}: a zip64 size is missing; the file is damaged.`);
    return safeUint64(view, wideAt - 8, where);
  };
  const size = read(at + 24);
  const packedSize = read(at + 20);
  return { size, packedSize, headerOffset: read(at + 42) };
}

function checkEntry(entry: ZipEntry, directoryOffset: number, where: string): void {
  const named = `${where}: entry ${JSON.stringify(entry.name)}`;
  if (entry.headerOffset + 30 + entry.packedSize > directoryOffset) {
    throw new FormatError(
      `${named} of ${entry.packedSize} bytes at ${entry.headerOffset} runs into the directory at ${directoryOffset}.`,
    );
  }
  if (entry.method === 'stored' && entry.size !== entry.packedSize) {
    throw new FormatError(
      `${named} is stored, but has ${entry.packedSize} bytes for a size of ${entry.size}.`,
    );
  }
  if (entry.size > Math.max(entry.packedSize * maxDeflateRatio, entry.packedSize)) {
    throw new FormatError(`${named}: ${entry.packedSize} bytes cannot inflate to ${entry.size}.`);
  }
  if (entry.method === 'deflated' && entry.size > maxInflatedBytes) {
    throw new FormatError(
      `${named} inflates to ${entry.size} bytes, the limit is ${maxInflatedBytes}; store it uncompressed.`,
    );
  }
}

function safeUint64(view: DataView, at: number, where: string): number {
  const value = view.getBigUint64(at, true);
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  throw new FormatError(`${where}: a size or offset of ${value} bytes cannot be; the file is damaged.`);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
