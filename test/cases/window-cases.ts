import { convGeometry, formatGeometry, type GeometryOptions, type Pair } from '../../src/graph/geometry.ts';
import type { OpCase } from './op-case.ts';

export type Mode = 'max' | 'average' | 'average of all';

export interface Window extends GeometryOptions {
  readonly size?: Pair;
  readonly batch?: number;
  readonly channels?: number;
}

function poolCase(mode: Mode, options: Window): OpCase {
  const { size = [7, 9], batch = 1, channels = 5 } = options;
  const { groups, ...window } = convGeometry(options);
  return {
    name: `pool2d ${mode} ${formatGeometry({ ...window, groups })} ${channels} channels on ${batch}×${size.join('×')}`,
    kind: 'pool2d',
    build: (b) =>
      b.node(
        'pool2d',
        'op',
        { mode: mode === 'max' ? 'max' : 'average', window, countPadding: mode === 'average of all' },
        [b.input('x', [batch, ...size, channels])],
      ),
    reduction: window.kernel[0] * window.kernel[1],
    kinks: mode === 'max' ? 'ties' : [],
  };
}

export const windows: readonly Window[] = [
  { kernel: 2, stride: 2, padding: 0 },
  { kernel: 3, stride: 2, channels: 16, batch: 2 },
  { kernel: 3, stride: 1, channels: 17 },
  { kernel: 3, stride: 3, padding: [1, 0, 0, 2], channels: 3 },
  { kernel: 5, stride: 1, channels: 8, batch: 3 },
  { kernel: [3, 5], stride: [2, 1], channels: 4 },
  { kernel: 3, dilation: 2, channels: 33 },
  { kernel: [2, 3], stride: [1, 2], dilation: [3, 1], padding: [1, 1, 2, 1], channels: 1 },
  { kernel: 7, stride: 7, padding: 0, size: [7, 14], channels: 64 },
  { kernel: 1, stride: 2, channels: 15 },
];

export const areas: readonly (readonly [batch: number, size: Pair, channels: number])[] = [
  [1, [1, 1], 3],
  [1, [7, 7], 64],
  [2, [3, 5], 17],
  [3, [1, 9], 1],
  [1, [11, 13], 31],
  [2, [8, 8], 16],
];

const globalCases: readonly OpCase[] = areas.map(([batch, size, channels]) => ({
  name: `globalAveragePool ${channels} channels on ${batch}×${size.join('×')}`,
  kind: 'globalAveragePool',
  build: (b) => b.node('globalAveragePool', 'op', {}, [b.input('x', [batch, ...size, channels])]),
  reduction: size[0] * size[1],
  kinks: [],
}));

export const resizes: readonly (readonly [from: Pair, to: Pair, channels: number, batch: number])[] = [
  [[4, 5], [8, 10], 8, 1],
  [[4, 5], [7, 13], 5, 2],
  [[9, 11], [4, 5], 17, 1],
  [[8, 8], [4, 4], 16, 1],
  [[5, 7], [5, 7], 3, 3],
  [[1, 1], [4, 3], 33, 1],
  [[6, 5], [1, 1], 4, 1],
  [[2, 9], [5, 3], 1, 1],
];

const resizeCases: readonly OpCase[] = resizes.flatMap(([from, to, channels, batch]) =>
  [false, true].map(
    (alignCorners): OpCase => ({
      name: `resizeBilinear ${from.join('×')}→${to.join('×')}${alignCorners ? ' align corners' : ''} ${channels} channels, batch ${batch}`,
      kind: 'resizeBilinear',
      build: (b) =>
        b.node('resizeBilinear', 'op', { height: to[0], width: to[1], alignCorners }, [
          b.input('x', [batch, ...from, channels]),
        ]),
      // Four terms, and a place among n inputs is known to ε·n, which weighs as much as n² terms do.
      reduction: 4 + Math.max(...from) ** 2,
      kinks: [],
    }),
  ),
);

export const windowCases: readonly OpCase[] = [
  ...(['max', 'average', 'average of all'] as const).flatMap((mode) =>
    windows.map((window) => poolCase(mode, window)),
  ),
  ...globalCases,
  ...resizeCases,
];
