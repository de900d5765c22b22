/** Numbers as people read them. */

/** 2078504 → `2,078,504` */
export function grouped(value: number): string {
  return value.toLocaleString('en-US');
}

/** 2078504 → `2.08 M`; below a thousand as it is. */
export function scaled(value: number): string {
  for (const [unit, size] of [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ] as const)
    if (value >= size) return `${(value / size).toPrecision(3)} ${unit}`;
  return String(value);
}

/** 8314016 → `8.3 MB` (10⁶ bytes) */
export function byteSize(bytes: number): string {
  for (const [unit, size] of [
    ['GB', 1e9],
    ['MB', 1e6],
    ['kB', 1e3],
  ] as const)
    if (bytes >= size) return `${(bytes / size).toFixed(1)} ${unit}`;
  return `${bytes} bytes`;
}

/** 0.907677 → ` 90.77 %` without the leading space */
export function percent(share: number): string {
  return `${(100 * share).toFixed(2)}%`;
}

/** 2.71e-7 → `2.7e-7`; 0 stays `0`. */
export function scientific(value: number): string {
  return value === 0 ? '0' : value.toExponential(1);
}
