import type { ConvGeometry } from '../../graph/geometry.ts';
import type { Shape, Tensor } from '../../tensor/tensor.ts';
import type { TrainingRules } from './training-rules.ts';

const empty: Tensor = { shape: [], data: new Float64Array(0) };

/** Every tap of every output position that reads inside the input; positions are counted in pixels. */
function eachTap(
  geometry: ConvGeometry,
  input: Shape,
  output: Shape,
  use: (tap: number, inPixel: number, outPixel: number) => void,
): void {
  const [n = 0, height = 0, width = 0] = input;
  const [, outHeight = 0, outWidth = 0] = output;
  const { kernel, stride, padding, dilation } = geometry;
  for (let image = 0; image < n; image++)
    for (let row = 0; row < outHeight; row++)
      for (let column = 0; column < outWidth; column++)
        for (let i = 0; i < kernel[0]; i++) {
          const y = row * stride[0] - padding[0] + i * dilation[0];
          if (y < 0 || y >= height) continue;
          for (let j = 0; j < kernel[1]; j++) {
            const x = column * stride[1] - padding[1] + j * dilation[1];
            if (x < 0 || x >= width) continue;
            const outPixel = (image * outHeight + row) * outWidth + column;
            use(i * kernel[1] + j, (image * height + y) * width + x, outPixel);
          }
        }
}

/** dx = Σ over windows of dy·w. @param dx NHWC, overwritten */
function inputGrad(dy: Tensor, weight: Tensor, geometry: ConvGeometry, dx: Tensor): void {
  const [outChannels = 0, inner = 0] = weight.shape;
  const inChannels = inner * geometry.groups;
  const taps = geometry.kernel[0] * geometry.kernel[1];
  const perGroup = outChannels / geometry.groups;
  const sums = new Float64Array(dx.data.length);
  eachTap(geometry, dx.shape, dy.shape, (tap, inPixel, outPixel) => {
    for (let o = 0; o < outChannels; o++) {
      const value = dy.data[outPixel * outChannels + o] ?? 0;
      const at = inPixel * inChannels + Math.floor(o / perGroup) * inner;
      for (let c = 0; c < inner; c++)
        sums[at + c] = (sums[at + c] ?? 0) + value * (weight.data[(o * inner + c) * taps + tap] ?? 0);
    }
  });
  dx.data.set(sums);
}

/** dw = Σ over positions of dy·x. @param dw OIHW, overwritten */
function weightGrad(x: Tensor, dy: Tensor, geometry: ConvGeometry, dw: Tensor): void {
  const [outChannels = 0, inner = 0] = dw.shape;
  const inChannels = inner * geometry.groups;
  const taps = geometry.kernel[0] * geometry.kernel[1];
  const perGroup = outChannels / geometry.groups;
  const sums = new Float64Array(dw.data.length);
  eachTap(geometry, x.shape, dy.shape, (tap, inPixel, outPixel) => {
    for (let o = 0; o < outChannels; o++) {
      const value = dy.data[outPixel * outChannels + o] ?? 0;
      const from = inPixel * inChannels + Math.floor(o / perGroup) * inner;
      for (let c = 0; c < inner; c++) {
        const at = (o * inner + c) * taps + tap;
        sums[at] = (sums[at] ?? 0) + value * (x.data[from + c] ?? 0);
      }
    }
  });
  dw.data.set(sums);
}

export const convGradientRules: TrainingRules<'conv2dInputGrad' | 'conv2dWeightGrad' | 'matmul'> = {
  conv2dInputGrad: ({ attrs }, [dy = empty, weight = empty], [dx = empty]) =>
    inputGrad(dy, weight, attrs.geometry, dx),
  conv2dWeightGrad: ({ attrs }, [x = empty, dy = empty], [dw = empty]) =>
    weightGrad(x, dy, attrs.geometry, dw),
  matmul: ({ attrs: { transposeA, transposeB } }, [a = empty, b = empty], [c = empty]) => {
    const [m = 0, n = 0] = c.shape;
    const k = a.shape[transposeA ? 0 : 1] ?? 0;
    for (let row = 0; row < m; row++)
      for (let column = 0; column < n; column++) {
        let sum = 0;
        for (let s = 0; s < k; s++)
          sum +=
            (a.data[transposeA ? s * m + row : row * k + s] ?? 0) *
            (b.data[transposeB ? column * k + s : s * n + column] ?? 0);
        c.data[row * n + column] = sum;
      }
  },
};
