import { convGeometry, formatGeometry } from '../../src/graph/geometry.ts';
import type { Convolution } from './convolution-cases.ts';
import type { OpCase } from './op-case.ts';
import { gradientCases, matmulCase } from './training-convolution.ts';
import { momentCases } from './training-merge.ts';

/** Products large enough to be worth rounding, around the edges of tiles: 16 × 16 × 32, blocks of 32 rows. */
const points: readonly Convolution[] = [
  { from: 32, to: 64, kernel: 1, size: [17, 16], batch: 3 },
  { from: 33, to: 47, kernel: 1, size: [15, 16], batch: 3 },
  { from: 48, to: 16, kernel: 1, size: [16, 31], batch: 2 },
  { from: 100, to: 70, kernel: 1, size: [13, 11], batch: 1 },
];

/** Products with patches. */
const windows: readonly Convolution[] = [
  { from: 3, to: 32, kernel: 3, stride: 2, size: [64, 64], batch: 2 },
  { from: 16, to: 20, kernel: 3, size: [15, 14], batch: 2 },
  { from: 40, to: 36, kernel: 1, stride: 2, size: [33, 31], batch: 2 },
  { from: 64, to: 64, groups: 2, kernel: 1, size: [24, 23], batch: 2 },
];

const forward = (c: Convolution): OpCase => {
  const geometry = convGeometry(c);
  const { from, to, size = [5, 7], batch = 1 } = c;
  return {
    name: `conv2d ${formatGeometry(geometry)} ${from}→${to} on ${batch}×${size.join('×')}, by computed weights`,
    kind: 'conv2d',
    build: (b) =>
      b.node('conv2d', 'op', { geometry }, [
        b.input('x', [batch, ...size, from]),
        b.input('weight', [to, from, 1, 1]),
        b.input('bias', [to]),
      ]),
    reduction: from,
    kinks: [],
  };
};

/** Of which factors are rounded as they are given. */
export const bf16ProductCases: readonly OpCase[] = [
  ...points.map(forward),
  ...[...points, ...windows].flatMap(gradientCases),
  matmulCase(65, 90, 130, false, false),
  matmulCase(130, 63, 70, false, true),
  matmulCase(70, 66, 140, true, false),
];

/** Of which factors are differences, or products of numbers that are given. */
export const bf16MomentCases: readonly OpCase[] = momentCases([
  { from: 33, to: 33, kernel: 1, branches: 1, size: [24, 23], batch: 2 },
  { from: 64, to: 64, kernel: 1, branches: 1, size: [16, 16], batch: 3 },
]);
