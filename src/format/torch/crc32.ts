/** tables[k][byte]: the checksum of `byte` followed by k zero bytes, to take four bytes in one step. */
const tables = [
  new Uint32Array(256),
  new Uint32Array(256),
  new Uint32Array(256),
  new Uint32Array(256),
] as const;
const [first, second, third, fourth] = tables;

for (let byte = 0; byte < 256; byte++) {
  let word = byte;
  for (const table of tables) {
    for (let bit = 0; bit < 8; bit++) word = word & 1 ? (word >>> 1) ^ 0xedb88320 : word >>> 1;
    table[byte] = word;
  }
}

/** CRC-32 (IEEE 802.3, as zip and PNG use it); pass the result of earlier bytes to continue it. */
export function crc32(bytes: Uint8Array, before = 0): number {
  let word = ~before;
  let at = 0;
  for (; at + 4 <= bytes.length; at += 4) {
    word ^=
      (bytes[at] ?? 0) |
      ((bytes[at + 1] ?? 0) << 8) |
      ((bytes[at + 2] ?? 0) << 16) |
      ((bytes[at + 3] ?? 0) << 24);
    word =
      (fourth[word & 255] ?? 0) ^
      (third[(word >>> 8) & 255] ?? 0) ^
      (second[(word >>> 16) & 255] ?? 0) ^
      (first[word >>> 24] ?? 0);
  }
  for (; at < bytes.length; at++) word = (first[(word ^ (bytes[at] ?? 0)) & 255] ?? 0) ^ (word >>> 8);
  return ~word >>> 0;
}
