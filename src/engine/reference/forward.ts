import { activations } from '../../graph/activations.ts';
import type { NetOpKind, Node } from '../../graph/graph.ts';
import { isNetNode } from '../../graph/node-rules.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { convolve } from './convolution.ts';
import { forwardTraining } from './training.ts';
import { globalAverage, pool, resize } from './window.ts';

/** Computes a node: reads `x`, writes `y` (allocated, of the checked shape). Arithmetic is f64 throughout. */
type ForwardRule<K extends NetOpKind> = (node: Node<K>, x: readonly Tensor[], y: Tensor) => void;
type ForwardTable = { readonly [K in NetOpKind]: ForwardRule<K> };

function operand(x: readonly Tensor[], index: number): Tensor {
  return x[index] ?? { shape: [], data: new Float64Array(0) };
}

const forwardTable: ForwardTable = {
  conv2d: (node, x, y) => convolve(operand(x, 0), operand(x, 1), x[2], node.attrs.geometry, y),
  batchNorm: (node, x, y) => {
    const [source, gamma, beta, mean, variance] = [0, 1, 2, 3, 4].map((i) => operand(x, i).data);
    const channels = gamma?.length ?? 0;
    for (let i = 0; i < y.data.length; i++) {
      const c = i % channels;
      const scale = (gamma?.[c] ?? 0) / Math.sqrt((variance?.[c] ?? 0) + node.attrs.eps);
      y.data[i] = ((source?.[i] ?? 0) - (mean?.[c] ?? 0)) * scale + (beta?.[c] ?? 0);
    }
  },
  sum: (_, x, y) => {
    for (let i = 0; i < y.data.length; i++) {
      let sum = 0;
      for (const { data } of x) sum += data[i] ?? 0;
      y.data[i] = sum;
    }
  },
  multiply: (_, x, y) => {
    const [a, b] = [operand(x, 0), operand(x, 1)];
    const whole = b.data.length === a.data.length;
    const channels = a.shape.at(-1) ?? 1;
    const imageSize = a.data.length / (a.shape[0] ?? 1);
    for (let i = 0; i < y.data.length; i++) {
      const at = whole ? i : Math.floor(i / imageSize) * channels + (i % channels);
      y.data[i] = (a.data[i] ?? 0) * (b.data[at] ?? 0);
    }
  },
  activation: (node, x, y) => {
    const { value } = activations[node.attrs.fn];
    const source = operand(x, 0).data;
    for (let i = 0; i < y.data.length; i++) y.data[i] = value(source[i] ?? 0);
  },
  globalAveragePool: (_, x, y) => globalAverage(operand(x, 0), y),
  pool2d: (node, x, y) => pool(operand(x, 0), node.attrs, y),
  flatten: (_, x, y) => y.data.set(operand(x, 0).data),
  linear: (_, x, y) => {
    const [source, weight, bias] = [operand(x, 0), operand(x, 1), x[2]];
    const [n = 0, inFeatures = 0] = source.shape;
    const outFeatures = weight.shape[0] ?? 0;
    for (let row = 0; row < n; row++)
      for (let o = 0; o < outFeatures; o++) {
        let sum = bias?.data[o] ?? 0;
        for (let i = 0; i < inFeatures; i++)
          sum += (source.data[row * inFeatures + i] ?? 0) * (weight.data[o * inFeatures + i] ?? 0);
        y.data[row * outFeatures + o] = sum;
      }
  },
  softmax: (_, x, y) => {
    const source = operand(x, 0);
    const length = source.shape.at(-1) ?? 1;
    for (let start = 0; start < source.data.length; start += length) {
      const row = source.data.subarray(start, start + length);
      let most = Number.NEGATIVE_INFINITY;
      for (const value of row) most = Math.max(most, value);
      let total = 0;
      for (const value of row) total += Math.exp(value - most);
      for (let i = 0; i < length; i++) y.data[start + i] = Math.exp((row[i] ?? 0) - most) / total;
    }
  },
  resizeBilinear: (node, x, y) => resize(operand(x, 0), node.attrs.alignCorners, y),
  concat: (_, x, y) => {
    const channels = y.shape.at(-1) ?? 1;
    let offset = 0;
    for (const part of x) {
      const width = part.shape.at(-1) ?? 1;
      for (let i = 0; i < part.data.length; i++)
        y.data[Math.floor(i / width) * channels + offset + (i % width)] = part.data[i] ?? 0;
      offset += width;
    }
  },
};

/** Runs one node by its row of the table. @param y one tensor per output, overwritten */
export function forward(node: Node, x: readonly Tensor[], y: readonly Tensor[]): void {
  if (isNetNode(node)) forwardNet(node, x, operand(y, 0));
  else forwardTraining(node, x, y);
}

function forwardNet<K extends NetOpKind>(node: Node<K>, x: readonly Tensor[], y: Tensor): void {
  const rule: ForwardRule<K> = forwardTable[node.kind as K];
  rule(node, x, y);
}
