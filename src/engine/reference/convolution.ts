import type { ConvGeometry } from '../../graph/geometry.ts';
import type { Tensor } from '../../tensor/tensor.ts';

type Numbers = Float32Array | Float64Array;

/**
 * Direct convolution, f64 accumulation.
 * @param x NHWC @param weight OIHW @param bias [O] or absent @param y NHWC, overwritten
 */
export function convolve(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | undefined,
  geometry: ConvGeometry,
  y: Tensor,
): void {
  const [n = 0, height = 0, width = 0, inChannels = 0] = x.shape;
  const [, outHeight = 0, outWidth = 0, outChannels = 0] = y.shape;
  const inner = weight.shape[1] ?? 0;
  const taps = tapMajorWeights(weight);
  const sums = new Float64Array(outChannels);
  for (let image = 0; image < n; image++) {
    for (let row = 0; row < outHeight; row++) {
      for (let column = 0; column < outWidth; column++) {
        sums.fill(0);
        for (let i = 0; i < geometry.kernel[0]; i++) {
          const inRow = row * geometry.stride[0] - geometry.padding[0] + i * geometry.dilation[0];
          if (inRow < 0 || inRow >= height) continue;
          for (let j = 0; j < geometry.kernel[1]; j++) {
            const inColumn = column * geometry.stride[1] - geometry.padding[1] + j * geometry.dilation[1];
            if (inColumn < 0 || inColumn >= width) continue;
            const at = ((image * height + inRow) * width + inColumn) * inChannels;
            addTap(x.data, at, taps, (i * geometry.kernel[1] + j) * inner, geometry.groups, inner, sums);
          }
        }
        const out = ((image * outHeight + row) * outWidth + column) * outChannels;
        for (let o = 0; o < outChannels; o++) y.data[out + o] = (sums[o] ?? 0) + (bias?.data[o] ?? 0);
      }
    }
  }
}

/** OIHW → [kH·kW][I][O], so that the innermost loop walks output channels. */
function tapMajorWeights(weight: Tensor): Float64Array {
  const [out = 0, inner = 0, kernelHeight = 0, kernelWidth = 0] = weight.shape;
  const taps = kernelHeight * kernelWidth;
  const result = new Float64Array(weight.data.length);
  for (let o = 0; o < out; o++)
    for (let c = 0; c < inner; c++)
      for (let t = 0; t < taps; t++)
        result[(t * inner + c) * out + o] = weight.data[(o * inner + c) * taps + t] ?? 0;
  return result;
}

/** sums[o] += Σ_c x[at + group(o)·I + c] · taps[(row + c)·O + o], with I input channels a group. */
function addTap(
  x: Numbers,
  at: number,
  taps: Float64Array,
  row: number,
  groups: number,
  inner: number,
  sums: Float64Array,
): void {
  const outChannels = sums.length;
  const outGroup = outChannels / groups;
  if (inner === 1 && outGroup === 1) {
    for (let o = 0; o < outChannels; o++)
      sums[o] = (sums[o] ?? 0) + (x[at + o] ?? 0) * (taps[row * outChannels + o] ?? 0);
    return;
  }
  for (let group = 0; group < groups; group++) {
    const start = group * outGroup;
    for (let c = 0; c < inner; c++) {
      const value = x[at + group * inner + c] ?? 0;
      const base = (row + c) * outChannels;
      for (let o = start; o < start + outGroup; o++) sums[o] = (sums[o] ?? 0) + value * (taps[base + o] ?? 0);
    }
  }
}
