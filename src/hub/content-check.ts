import type { ByteSource } from '../format/byte-source.ts';

/** Longest end-of-central-directory record of a zip archive: 22 bytes and a 16-bit comment length. */
const zipTail = 22 + 0xffff;

const ascii = (bytes: Uint8Array) => String.fromCharCode(...bytes);

/**
 * Says what is wrong with a file that should hold weights, judging by its first and last bytes, or undefined when
 * it looks like a zip archive (PyTorch), a pickle (older PyTorch) or safetensors. Servers answer with pages, error
 * objects and Git LFS pointers under the names of weights; none of those may be kept as weights.
 */
export async function contentFault(file: Pick<ByteSource, 'size' | 'read'>): Promise<string | undefined> {
  if (file.size === 0) return 'it is empty';
  const head = await file.read(0, Math.min(file.size, 512));
  const text = ascii(head)
    .replace(/^\u00ef\u00bb\u00bf/, '')
    .trimStart();
  if (ascii(head.subarray(0, 4)) === 'PK\x03\x04') return zipFault(file);
  if (head[0] === 0x80 && (head[1] ?? 0) >= 2 && (head[1] ?? 0) <= 5) return undefined;
  if (head.length > 8 && head[8] === 0x7b) return safetensorsFault(head, file.size);
  if (text.startsWith('<')) return 'it is an HTML or XML page, not weights';
  if (text.startsWith('version https://git-lfs')) return 'it is a Git LFS pointer, not the file it points to';
  if (/^[{[]/.test(text)) return `it is JSON text, not weights: ${text.slice(0, 80)}`;
  if (ascii(head.subarray(257, 262)) === 'ustar')
    return 'it is a tar archive; PyTorch has not written those since 0.1';
  const start = Array.from(head.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
  return `it starts with ${start}, which is neither a zip archive, a pickle nor safetensors`;
}

async function zipFault(file: Pick<ByteSource, 'size' | 'read'>): Promise<string | undefined> {
  const length = Math.min(file.size, zipTail);
  const tail = await file.read(file.size - length, length);
  for (let at = length - 22; at >= 0; at--) {
    if (tail[at] === 0x50 && tail[at + 1] === 0x4b && tail[at + 2] === 5 && tail[at + 3] === 6)
      return undefined;
  }
  return 'it is a zip archive without its end; the file is cut off';
}

function safetensorsFault(head: Uint8Array, size: number): string | undefined {
  const header = new DataView(head.buffer, head.byteOffset).getBigUint64(0, true);
  if (header >= 2n && header <= BigInt(size) - 8n) return undefined;
  return `its safetensors header should take ${header} bytes, but the file has ${size}; it is cut off or not weights`;
}
