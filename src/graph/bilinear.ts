/** The two inputs one output row or column lies between: low·(1 − fraction) + high·fraction. */
export interface BilinearSample {
  readonly low: number;
  readonly high: number;
  readonly fraction: number;
}

/** Where outputs read: PyTorch's `interpolate(mode='bilinear')` in its two conventions. */
export function bilinearSamples(
  size: number,
  outSize: number,
  alignCorners: boolean,
): readonly BilinearSample[] {
  const scale = alignCorners ? (outSize > 1 ? (size - 1) / (outSize - 1) : 0) : size / outSize;
  return Array.from({ length: outSize }, (_, i) => {
    const source = alignCorners ? i * scale : Math.max((i + 0.5) * scale - 0.5, 0);
    const low = Math.min(Math.floor(source), size - 1);
    return { low, high: Math.min(low + 1, size - 1), fraction: Math.min(source - low, 1) };
  });
}
