import { bilinearSamples } from '../../graph/bilinear.ts';
import { windowOutputSize } from '../../graph/geometry.ts';
import type { OpAttrs } from '../../graph/graph.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { TrainingRules } from './training-rules.ts';
import { windowPositions } from './window.ts';

const empty: Tensor = { shape: [], data: new Float64Array(0) };
const at = (tensors: readonly Tensor[], index: number): Tensor => tensors[index] ?? empty;

/** Reshaping, and what leads back through pools, gates, resizing and softmax. */
export const spatialGradientRules = {
  constant: ({ attrs }, _, y) => void at(y, 0).data.fill(attrs.value),
  reshape: (_, x, y) => at(y, 0).data.set(at(x, 0).data),
  sliceChannels: ({ attrs: { start, count } }, x, y) => {
    const [source, result] = [at(x, 0), at(y, 0)];
    const channels = source.shape.at(-1) ?? 1;
    for (let i = 0; i < result.data.length; i++)
      result.data[i] = source.data[Math.floor(i / count) * channels + start + (i % count)] ?? 0;
  },
  spatialDot: (_, x, y) => {
    const [a, b, result] = [at(x, 0), at(x, 1), at(y, 0)];
    const [n = 0, height = 0, width = 0, channels = 0] = a.shape;
    const size = height * width * channels;
    for (let image = 0; image < n; image++)
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let i = image * size + c; i < (image + 1) * size; i += channels)
          sum += (a.data[i] ?? 0) * (b.data[i] ?? 0);
        result.data[image * channels + c] = sum;
      }
  },
  globalAveragePoolGrad: ({ attrs: { height, width } }, x, y) => {
    const [dy, dx] = [at(x, 0), at(y, 0)];
    const channels = dy.shape[3] ?? 1;
    const size = height * width * channels;
    for (let i = 0; i < dx.data.length; i++)
      dx.data[i] = (dy.data[Math.floor(i / size) * channels + (i % channels)] ?? 0) / (height * width);
  },
  pool2dGrad: ({ attrs }, x, y) => poolGradient(at(x, 0), at(x, 1), attrs, at(y, 0)),
  resizeBilinearGrad: ({ attrs }, x, y) => resizeGradient(at(x, 0), attrs.alignCorners, at(y, 0)),
  softmaxGrad: (_, x, y) => {
    const [dy, value, dx] = [at(x, 0), at(x, 1), at(y, 0)];
    const length = value.shape.at(-1) ?? 1;
    for (let start = 0; start < dx.data.length; start += length) {
      let dot = 0;
      for (let i = start; i < start + length; i++) dot += (dy.data[i] ?? 0) * (value.data[i] ?? 0);
      for (let i = start; i < start + length; i++)
        dx.data[i] = (value.data[i] ?? 0) * ((dy.data[i] ?? 0) - dot);
    }
  },
} as const satisfies Partial<TrainingRules>;

function poolGradient(dy: Tensor, x: Tensor, attrs: OpAttrs['pool2d'], dx: Tensor): void {
  const { mode, window, countPadding } = attrs;
  const [n = 0, height = 0, width = 0, channels = 0] = x.shape;
  const [outHeight, outWidth] = windowOutputSize(window, height, width);
  const sums = new Float64Array(dx.data.length);
  for (let image = 0; image < n; image++)
    for (let row = 0; row < outHeight; row++)
      for (let column = 0; column < outWidth; column++) {
        const positions = windowPositions(window, row, column, height, width);
        const divisor = countPadding ? window.kernel[0] * window.kernel[1] : positions.length;
        const out = ((image * outHeight + row) * outWidth + column) * channels;
        for (let c = 0; c < channels; c++) {
          const places = positions.map((position) => (image * height * width + position) * channels + c);
          const value = dy.data[out + c] ?? 0;
          const targets = mode === 'max' ? [firstMaximum(x.data, places)] : places;
          const share = mode === 'max' ? value : value / divisor;
          for (const place of targets) sums[place] = (sums[place] ?? 0) + share;
        }
      }
  dx.data.set(sums);
}

/** The first of these places that holds their maximum; NaN counts as more than any number. */
function firstMaximum(data: Tensor['data'], places: readonly number[]): number {
  let best = places[0] ?? 0;
  for (const place of places) {
    const [value, most] = [data[place] ?? 0, data[best] ?? 0];
    if (value > most || (Number.isNaN(value) && !Number.isNaN(most))) best = place;
  }
  return best;
}

function resizeGradient(dy: Tensor, alignCorners: boolean, dx: Tensor): void {
  const [n = 0, height = 0, width = 0, channels = 0] = dx.shape;
  const [, outHeight = 0, outWidth = 0] = dy.shape;
  const rows = bilinearSamples(height, outHeight, alignCorners);
  const columns = bilinearSamples(width, outWidth, alignCorners);
  const sums = new Float64Array(dx.data.length);
  let out = 0;
  for (let image = 0; image < n; image++) {
    const add = (row: number, column: number, c: number, value: number): void => {
      const place = ((image * height + row) * width + column) * channels + c;
      sums[place] = (sums[place] ?? 0) + value;
    };
    for (const { low: top, high: bottom, fraction: v } of rows)
      for (const { low: left, high: right, fraction: u } of columns)
        for (let c = 0; c < channels; c++) {
          const value = dy.data[out++] ?? 0;
          add(top, left, c, value * (1 - v) * (1 - u));
          add(top, right, c, value * (1 - v) * u);
          add(bottom, left, c, value * v * (1 - u));
          add(bottom, right, c, value * v * u);
        }
  }
  dx.data.set(sums);
}
