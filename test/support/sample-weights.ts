import { createHash } from 'node:crypto';

/** A small file that looks like safetensors: a header of one tensor and pseudo-random bytes; `seed` varies them. */
export function sampleWeights(payload: number, seed = 1): Uint8Array {
  const header = new TextEncoder().encode(
    JSON.stringify({ a: { dtype: 'U8', shape: [payload], data_offsets: [0, payload] } }),
  );
  const bytes = new Uint8Array(8 + header.length + payload);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
  bytes.set(header, 8);
  let state = seed >>> 0;
  for (let i = 8 + header.length; i < bytes.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
