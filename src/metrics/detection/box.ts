/** Left, top, width, height in pixels; sides are continuous, nothing is counted inclusively. */
export type Box = readonly [x: number, y: number, width: number, height: number];

/**
 * Area in common over the area of both together; over the area of `a` alone where `b` is a crowd, which any number of
 * boxes may lie in.
 */
export function boxIou(a: Box, b: Box, bIsCrowd = false): number {
  const width = Math.min(a[0] + a[2], b[0] + b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[1] + a[3], b[1] + b[3]) - Math.max(a[1], b[1]);
  if (width <= 0 || height <= 0) return 0;
  const common = width * height;
  const own = a[2] * a[3];
  return common / (bIsCrowd ? own : own + b[2] * b[3] - common);
}
