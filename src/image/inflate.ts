import { ImageError } from '../errors.ts';

/**
 * Exactly the first `length` bytes of a zlib stream, by the platform's own inflater. Output is pulled piece by
 * piece and the rest of the stream never expanded, so that memory is bounded by `length` whatever the input.
 * @throws ImageError when the stream is damaged or ends early
 */
export async function inflate(parts: readonly Uint8Array[], length: number): Promise<Uint8Array> {
  const stream = new DecompressionStream('deflate');
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader();
  const feed = async (): Promise<void> => {
    for (const part of parts) await writer.write(new Uint8Array(part));
    await writer.close();
  };
  feed().catch(() => {}); // the reader meets the same failure
  const out = new Uint8Array(length);
  let filled = 0;
  try {
    while (filled < length) {
      const { done, value } = await reader.read();
      if (done) break;
      const piece = value.subarray(0, length - filled);
      out.set(piece, filled);
      filled += piece.length;
    }
  } catch (cause) {
    throw new ImageError(`the compressed data is damaged after ${filled} of ${length} bytes`, {}, { cause });
  }
  reader.cancel().catch(() => {});
  if (filled < length) throw new ImageError(`the compressed data ends after ${filled} of ${length} bytes`);
  return out;
}
