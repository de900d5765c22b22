/** IEEE half, bfloat16 and the two float8 formats, to and from f32; rounding to nearest, ties to even. */

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

export function float16ToNumber(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent ? sign * 2 ** (exponent - 15) * (1 + fraction / 1024) : sign * 2 ** -14 * (fraction / 1024);
}

export function numberToFloat16(value: number): number {
  float[0] = value;
  const word = bits[0] ?? 0;
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x47800000) return sign | 0x7c00; // 65536 and above; 65520..65535 round up below
  if (magnitude < 0x38800000) {
    // Subnormal in half: scaling by 2^24 makes the half's unit 1, and JavaScript's addition rounds ties to even.
    const scaled = Math.abs(float[0] ?? 0) * 2 ** 24;
    const low = Math.floor(scaled);
    const rest = scaled - low;
    return sign | (rest > 0.5 || (rest === 0.5 && low & 1) ? low + 1 : low);
  }
  const rebased = magnitude - 0x38000000;
  return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13);
}

export function bfloat16ToNumber(value: number): number {
  bits[0] = value << 16;
  return float[0] ?? 0;
}

export function numberToBfloat16(value: number): number {
  float[0] = value;
  const word = bits[0] ?? 0;
  if ((word & 0x7fffffff) > 0x7f800000) return ((word >>> 16) | 0x40) & 0xffff;
  return ((word + 0x7fff + ((word >>> 16) & 1)) >>> 16) & 0xffff;
}

/** OCP E4M3 "fn": no infinities, 0x7f and 0xff are NaN, largest 448. */
export function float8e4m3ToNumber(byte: number): number {
  const sign = byte & 0x80 ? -1 : 1;
  const exponent = (byte >> 3) & 15;
  const fraction = byte & 7;
  if (exponent === 15 && fraction === 7) return Number.NaN;
  return exponent ? sign * 2 ** (exponent - 7) * (1 + fraction / 8) : sign * 2 ** -6 * (fraction / 8);
}

/** OCP E5M2: the upper byte of a half. */
export function float8e5m2ToNumber(byte: number): number {
  return float16ToNumber(byte << 8);
}
