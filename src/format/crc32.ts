const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let word = byte;
  for (let bit = 0; bit < 8; bit++) word = word & 1 ? (word >>> 1) ^ 0xedb88320 : word >>> 1;
  return word;
});

/** CRC-32 (IEEE 802.3, as zip and PNG use it); pass the result of earlier bytes to continue it. */
export function crc32(bytes: Uint8Array, before = 0): number {
  let word = ~before;
  for (const byte of bytes) word = (table[(word ^ byte) & 255] ?? 0) ^ (word >>> 8);
  return ~word >>> 0;
}
