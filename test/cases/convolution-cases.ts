import { convGeometry, formatGeometry, type Padding, type Pair } from '../../src/graph/geometry.ts';
import { convLayer } from '../../src/graph/layers.ts';
import type { OpCase } from './op-case.ts';

/** One convolution's sizes. */
export interface Convolution {
  readonly from: number;
  readonly to: number;
  readonly kernel: number | Pair;
  readonly stride?: number | Pair;
  readonly dilation?: number | Pair;
  readonly padding?: number | Pair | Padding;
  readonly groups?: number;
  readonly size?: Pair;
  readonly batch?: number;
  readonly bias?: boolean;
}

function convCase(c: Convolution): OpCase {
  const geometry = convGeometry(c);
  const { size = [5, 7], batch = 1, bias = false } = c;
  return {
    name: `conv2d ${formatGeometry(geometry)} ${c.from}→${c.to} on ${batch}×${size.join('×')}${bias ? ' bias' : ''}`,
    kind: 'conv2d',
    build: (b) => convLayer(b, 'op', b.input('x', [batch, ...size, c.from]), c.to, geometry, { bias }),
    reduction: (c.from / geometry.groups) * geometry.kernel[0] * geometry.kernel[1] + (bias ? 1 : 0),
    kinks: [],
  };
}

/** Around vectors of 4, 8 and 16 lanes and tiles of several of them. */
export const channelCounts = [1, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 48, 64] as const;
const lengths = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 17, 31, 33] as const;
const kernels: readonly (number | Pair)[] = [1, 3, 5, 7, [3, 5]];
const paddings: readonly Padding[] = [
  [0, 0, 0, 0],
  [0, 1, 2, 0],
  [1, 0, 0, 2],
  [2, 2, 1, 1],
  [3, 4, 3, 4],
];
const cycle = <T>(values: readonly [T, ...T[]], i: number): T => values[i % values.length] ?? values[0];
const odd = (i: number): boolean => i % 2 === 1;

/** Channels in and out around the lanes, positions around the rows of a tile. */
const pointwise: readonly Convolution[] = [
  ...channelCounts.map((from, i) => ({
    from,
    to: channelCounts[channelCounts.length - 1 - i] ?? 1,
    kernel: 1,
    size: [3, 5] as const,
    batch: cycle([1, 2, 3], i),
    bias: odd(i),
  })),
  ...channelCounts.map((c, i) => ({ from: c, to: c, kernel: 1, stride: cycle([1, 2, 3], i), bias: !odd(i) })),
  ...lengths.map((length, i) => ({
    from: 5,
    to: cycle([16, 17, 33], i),
    kernel: 1,
    size: [1, length] as const,
    bias: odd(i),
  })),
  { from: 6, to: 6, kernel: 1, padding: 1, bias: true },
];

const depthwise: readonly Convolution[] = [
  ...channelCounts.map((c, i) => ({
    from: c,
    to: c,
    groups: c,
    kernel: cycle([3, 5], i),
    stride: cycle([1, 2, 3], i),
    batch: cycle([1, 1, 2], i),
    bias: odd(i),
  })),
  ...kernels.flatMap((kernel, k) =>
    [1, 2, 3].flatMap((stride) =>
      [1, 2, 4].map((dilation, d) => {
        const c = cycle([8, 17, 5], k + d);
        return {
          from: c,
          to: c,
          groups: c,
          kernel,
          stride,
          dilation,
          size: [9, 11] as const,
          bias: odd(k + d),
        };
      }),
    ),
  ),
  ...lengths.map((length, i) => ({
    from: 8,
    to: 8,
    groups: 8,
    kernel: 3,
    size: (odd(i) ? [length, 3] : [3, length]) as Pair,
    stride: cycle([1, 1, 2, 2], i),
  })),
  ...paddings.map((padding) => ({ from: 7, to: 7, groups: 7, kernel: 3, padding, bias: true })),
];

const dense: readonly Convolution[] = [
  ...kernels.flatMap((kernel, k) =>
    [1, 2, 3].flatMap((stride, s) =>
      [1, 2, 4].map((dilation, d) => ({
        from: cycle([3, 4, 8], k + s + d),
        to: cycle([5, 16, 7], k + d),
        kernel,
        stride,
        dilation,
        size: [8, 9] as const,
        bias: odd(s + d),
      })),
    ),
  ),
  ...channelCounts.map((to, i) => ({
    from: 3,
    to,
    kernel: 3,
    stride: 2,
    size: [11, 13] as const,
    batch: cycle([1, 2, 3], i),
    bias: odd(i),
  })),
  ...paddings.map((padding) => ({ from: 4, to: 6, kernel: [3, 5] as const, padding })),
  { from: 2, to: 3, kernel: [1, 7], stride: [2, 1], dilation: [1, 2], size: [6, 15], bias: true },
  { from: 3, to: 4, kernel: [4, 2], stride: [1, 3], padding: [1, 0], size: [7, 8] },
];

/** Groups that are neither one nor one a channel. */
const grouped: readonly Convolution[] = [
  { from: 4, to: 6, groups: 2, kernel: 3 },
  { from: 15, to: 33, groups: 3, kernel: 1, bias: true },
  { from: 48, to: 16, groups: 16, kernel: 3, stride: 2 },
  { from: 16, to: 64, groups: 4, kernel: [3, 5], dilation: 2, bias: true },
  { from: 5, to: 10, groups: 5, kernel: 3 },
  { from: 17, to: 51, groups: 17, kernel: 5, stride: 2, bias: true },
  { from: 16, to: 8, groups: 8, kernel: 3, batch: 2 },
];

export const convolutions: readonly Convolution[] = [...pointwise, ...depthwise, ...dense, ...grouped];

export const convolutionCases: readonly OpCase[] = convolutions.map(convCase);
