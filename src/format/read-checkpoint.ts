import { FormatError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import type { Checkpoint, Container, ReadOptions } from './checkpoint.ts';
import { readSafetensors } from './safetensors/safetensors.ts';
import { readTorchLegacy } from './torch/torch-legacy.ts';
import { readTorchZip } from './torch/torch-zip.ts';

type Reader = (source: ByteSource, options: ReadOptions) => Promise<Checkpoint>;

const readers: Readonly<Record<Container, Reader>> = {
  safetensors: (source) => readSafetensors(source),
  'torch-zip': readTorchZip,
  'torch-legacy': (source) => readTorchLegacy(source),
};

/** What else a file called .pth or .safetensors turns out to be, by its first bytes at an offset. */
const knownOthers: readonly (readonly [offset: number, start: string, what: string])[] = [
  [257, 'ustar', 'a tar archive (PyTorch used them until 2017; load and save it again with a later version)'],
  [0, '\x89PNG', 'a PNG picture'],
  [0, '\xff\xd8\xff', 'a JPEG picture'],
  [0, '\x1f\x8b', 'gzip-packed; unpack it first'],
  [0, '\x89HDF', 'an HDF5 file'],
  [0, 'GGUF', 'a GGUF file'],
  [0, 'version https://git-lfs', 'a Git LFS pointer; fetch the file it stands for with "git lfs pull"'],
  [0, '<', 'a web page or XML; the download went wrong'],
  [0, '{', 'JSON text'],
];

/**
 * Reads a checkpoint of any container, recognized by its bytes, never by its name. Only the description is read
 * now; tensors are read one by one when asked for. Nothing in the file is executed.
 * @throws FormatError when the file is of another kind, damaged, cut off, or names code
 */
export async function readCheckpoint(source: ByteSource, options: ReadOptions = {}): Promise<Checkpoint> {
  const start = await source.read(0, Math.min(source.size, 512));
  const container = recognize(start, source.size);
  if (container) return readers[container](source, options);
  throw new FormatError(
    `"${source.name}": is ${describeUnknown(start)}; a safetensors or PyTorch checkpoint was expected.`,
    { size: source.size },
  );
}

function recognize(start: Uint8Array, size: number): Container | undefined {
  if (isSafetensors(start, size)) return 'safetensors';
  const text = latin1(start.subarray(0, 32));
  if (text.startsWith('PK\x03\x04') || text.startsWith('PK\x05\x06')) return 'torch-zip';
  // A pickle: PROTO 2 to 5, or the magic number as protocol 0 and 1 write it.
  const [first = 0, second = 0] = start;
  if (first === 0x80 && second >= 2 && second <= 5) return 'torch-legacy';
  if (text.startsWith('L119547037146038801333356L\n')) return 'torch-legacy';
  return undefined;
}

/** A header length that fits the file, then the header's brace, perhaps after spaces. */
function isSafetensors(start: Uint8Array, size: number): boolean {
  if (start.byteLength < 9 || !/[{ \t\r\n]/.test(latin1(start.subarray(8, 9)))) return false;
  return new DataView(start.buffer, start.byteOffset).getBigUint64(0, true) <= BigInt(size - 8);
}

function describeUnknown(start: Uint8Array): string {
  if (start.byteLength === 0) return 'empty';
  const text = latin1(start);
  const known = knownOthers.find(([offset, magic]) => text.startsWith(magic, offset));
  if (known) return known[2];
  const hex = [...start.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, '0'));
  return `of an unknown kind (it starts with ${hex.join(' ')})`;
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
