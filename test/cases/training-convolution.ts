import { convGeometry, formatGeometry, windowOutputSize } from '../../src/graph/geometry.ts';
import { type Convolution, convolutions } from './convolution-cases.ts';
import type { OpCase } from './op-case.ts';

/** Sizes that only gradients care about: sums over positions that are cut in parts, inputs no window reads. */
const gradientSizes: readonly Convolution[] = [
  { from: 20, to: 24, kernel: 1, size: [33, 31], batch: 3 },
  { from: 12, to: 10, kernel: 1, stride: 2, size: [14, 13], batch: 5 },
  { from: 6, to: 5, kernel: 1, stride: [3, 2], size: [8, 9], batch: 2 },
  { from: 9, to: 9, groups: 9, kernel: 1, size: [6, 5], batch: 3 },
  { from: 17, to: 17, groups: 17, kernel: 1, stride: 2, size: [6, 5], batch: 2 },
  { from: 20, to: 20, groups: 20, kernel: 3, size: [17, 16], batch: 5 },
  { from: 33, to: 33, groups: 33, kernel: 3, stride: 2, size: [16, 17], batch: 4 },
  { from: 16, to: 16, groups: 16, kernel: 3, stride: 2, padding: 0, size: [8, 8], batch: 2 },
  { from: 4, to: 4, groups: 4, kernel: 2, stride: 3, padding: 0, size: [9, 10] },
  { from: 3, to: 16, kernel: 3, stride: 2, size: [32, 32], batch: 3 },
  { from: 8, to: 8, kernel: 3, dilation: 6, size: [7, 9], batch: 2 },
  { from: 3, to: 4, kernel: 2, stride: 3, padding: 0, size: [9, 10] },
  { from: 8, to: 12, groups: 4, kernel: 1, stride: 2, size: [5, 5], batch: 2 },
];

export function gradientCases(c: Convolution): readonly OpCase[] {
  const geometry = convGeometry(c);
  const { size = [5, 7], batch = 1, from, to } = c;
  const out = [batch, ...windowOutputSize(geometry, ...size), to];
  const [, rows = 0, columns = 0] = out;
  const weight = [to, from / geometry.groups, ...geometry.kernel];
  const what = `${formatGeometry(geometry)} ${from}→${to} on ${batch}×${size.join('×')}`;
  const [height, width] = size;
  return [
    {
      name: `conv2dInputGrad ${what}`,
      kind: 'conv2dInputGrad',
      build: (b) =>
        b.node('conv2dInputGrad', 'op', { geometry, height, width }, [
          b.input('dy', out),
          b.parameter('weight', weight, 'weight'),
        ]),
      reduction: (to / geometry.groups) * geometry.kernel[0] * geometry.kernel[1],
      kinks: [],
    },
    {
      name: `conv2dWeightGrad ${what}`,
      kind: 'conv2dWeightGrad',
      build: (b) =>
        b.node('conv2dWeightGrad', 'op', { geometry }, [
          b.input('x', [batch, ...size, from]),
          b.input('dy', out),
        ]),
      reduction: batch * rows * columns,
      kinks: [],
    },
  ];
}

export const matmulCase = (
  m: number,
  n: number,
  k: number,
  transposeA: boolean,
  transposeB: boolean,
): OpCase => ({
  name: `matmul ${m}×${k}${transposeA ? 'ᵀ' : ''} · ${k}×${n}${transposeB ? 'ᵀ' : ''}`,
  kind: 'matmul',
  build: (b) =>
    b.node('matmul', 'op', { transposeA, transposeB }, [
      b.input('a', transposeA ? [k, m] : [m, k]),
      b.input('b', transposeB ? [n, k] : [k, n]),
    ]),
  reduction: k,
  kinks: [],
});

const products: readonly OpCase[] = [
  [1, 1, 1],
  [5, 17, 9],
  [16, 8, 33],
  [3, 4, 700],
  [40, 31, 15],
].flatMap(([m = 1, n = 1, k = 1]) =>
  [false, true].flatMap((transposeA) =>
    [false, true].map((transposeB) => matmulCase(m, n, k, transposeA, transposeB)),
  ),
);

/** Every convolution of the forward cases, and more. */
export const gradientConvolutions: readonly Convolution[] = [...convolutions, ...gradientSizes];

/** Gradients of every convolution, and matrix products. */
export const trainingConvolutionCases: readonly OpCase[] = [
  ...gradientConvolutions.flatMap(gradientCases),
  ...products,
];
