import { bilinearSamples } from '../../graph/bilinear.ts';
import type { WindowGeometry } from '../../graph/geometry.ts';
import type { OpAttrs } from '../../graph/graph.ts';
import type { Tensor } from '../../tensor/tensor.ts';

/** Max or average over a window. @param x NHWC @param y NHWC, overwritten */
export function pool(x: Tensor, { mode, window, countPadding }: OpAttrs['pool2d'], y: Tensor): void {
  const [n = 0, height = 0, width = 0, channels = 0] = x.shape;
  const [, outHeight = 0, outWidth = 0] = y.shape;
  for (let image = 0; image < n; image++)
    for (let row = 0; row < outHeight; row++)
      for (let column = 0; column < outWidth; column++) {
        const positions = windowPositions(window, row, column, height, width);
        const divisor = countPadding ? window.kernel[0] * window.kernel[1] : positions.length;
        const out = ((image * outHeight + row) * outWidth + column) * channels;
        for (let c = 0; c < channels; c++) {
          let sum = 0;
          let most = Number.NEGATIVE_INFINITY;
          for (const position of positions) {
            const value = x.data[(image * height * width + position) * channels + c] ?? 0;
            sum += value;
            most = Math.max(most, value);
          }
          y.data[out + c] = mode === 'max' ? most : sum / divisor;
        }
      }
}

/** Positions (row·width + column) inside the picture that the window of one output reads. */
export function windowPositions(
  window: WindowGeometry,
  row: number,
  column: number,
  height: number,
  width: number,
): readonly number[] {
  const positions: number[] = [];
  for (let i = 0; i < window.kernel[0]; i++) {
    const inRow = row * window.stride[0] - window.padding[0] + i * window.dilation[0];
    if (inRow < 0 || inRow >= height) continue;
    for (let j = 0; j < window.kernel[1]; j++) {
      const inColumn = column * window.stride[1] - window.padding[1] + j * window.dilation[1];
      if (inColumn >= 0 && inColumn < width) positions.push(inRow * width + inColumn);
    }
  }
  return positions;
}

/** Mean over rows and columns. @param x NHWC @param y [N,1,1,C], overwritten */
export function globalAverage(x: Tensor, y: Tensor): void {
  const [n = 0, height = 0, width = 0, channels = 0] = x.shape;
  const area = height * width;
  const sums = new Float64Array(channels);
  for (let image = 0; image < n; image++) {
    sums.fill(0);
    for (let position = 0; position < area; position++) {
      const at = (image * area + position) * channels;
      for (let c = 0; c < channels; c++) sums[c] = (sums[c] ?? 0) + (x.data[at + c] ?? 0);
    }
    for (let c = 0; c < channels; c++) y.data[image * channels + c] = (sums[c] ?? 0) / area;
  }
}

/** Bilinear, without antialiasing. @param x NHWC @param y NHWC, overwritten */
export function resize(x: Tensor, alignCorners: boolean, y: Tensor): void {
  const [n = 0, height = 0, width = 0, channels = 0] = x.shape;
  const [, outHeight = 0, outWidth = 0] = y.shape;
  const rows = bilinearSamples(height, outHeight, alignCorners);
  const columns = bilinearSamples(width, outWidth, alignCorners);
  let out = 0;
  for (let image = 0; image < n; image++) {
    const at = (row: number, column: number, c: number): number =>
      x.data[((image * height + row) * width + column) * channels + c] ?? 0;
    for (const { low: top, high: bottom, fraction: v } of rows)
      for (const { low: left, high: right, fraction: u } of columns)
        for (let c = 0; c < channels; c++) {
          const upper = at(top, left, c) * (1 - u) + at(top, right, c) * u;
          const lower = at(bottom, left, c) * (1 - u) + at(bottom, right, c) * u;
          y.data[out++] = upper * (1 - v) + lower * v;
        }
  }
}
