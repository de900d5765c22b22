import { convGeometry, formatGeometry, windowOutputSize } from '../../src/graph/geometry.ts';
import type { Shape } from '../../src/tensor/tensor.ts';
import { channelCounts } from './convolution-cases.ts';
import type { OpCase } from './op-case.ts';
import { areas, type Mode, resizes, type Window, windows } from './window-cases.ts';

function poolGradientCase(mode: Mode, options: Window): OpCase {
  const { size = [7, 9], batch = 1, channels = 5 } = options;
  const { groups, ...window } = convGeometry(options);
  const attrs = {
    mode: mode === 'max' ? 'max' : 'average',
    window,
    countPadding: mode === 'average of all',
  } as const;
  return {
    name: `pool2dGrad ${mode} ${formatGeometry({ ...window, groups })} ${channels} channels on ${batch}×${size.join('×')}`,
    kind: 'pool2dGrad',
    build: (b) =>
      b.node('pool2dGrad', 'op', attrs, [
        b.input('dy', [batch, ...windowOutputSize(window, ...size), channels]),
        b.input('x', [batch, ...size, channels]),
      ]),
    reduction: window.kernel[0] * window.kernel[1],
    kinks: mode === 'max' ? 'ties' : [],
  };
}

/** Windows whose neighbours share nothing, or rows in three steps, or all of the picture. */
const moreWindows: readonly Window[] = [
  { kernel: 2, stride: 3, padding: 0, channels: 20, batch: 2 },
  { kernel: 3, stride: 1, dilation: 3, size: [8, 11], channels: 16 },
  { kernel: [7, 9], padding: 0, size: [7, 9], channels: 9 },
];

const averageCases = areas.flatMap(([batch, size, channels]): readonly OpCase[] => [
  {
    name: `globalAveragePoolGrad ${channels} channels on ${batch}×${size.join('×')}`,
    kind: 'globalAveragePoolGrad',
    build: (b) =>
      b.node('globalAveragePoolGrad', 'op', { height: size[0], width: size[1] }, [
        b.input('dy', [batch, 1, 1, channels]),
      ]),
    reduction: 1,
    kinks: [],
  },
  {
    name: `spatialDot ${channels} channels on ${batch}×${size.join('×')}`,
    kind: 'spatialDot',
    build: (b) => {
      const shape = [batch, ...size, channels];
      return b.node('spatialDot', 'op', {}, [b.input('x', shape), b.input('y', shape)]);
    },
    reduction: size[0] * size[1],
    kinks: [],
  },
]);

const resizeCases = resizes.flatMap(([from, to, channels, batch]) =>
  [false, true].map(
    (alignCorners): OpCase => ({
      name: `resizeBilinearGrad ${from.join('×')}←${to.join('×')}${alignCorners ? ' align corners' : ''} ${channels} channels, batch ${batch}`,
      kind: 'resizeBilinearGrad',
      build: (b) =>
        b.node('resizeBilinearGrad', 'op', { height: from[0], width: from[1], alignCorners }, [
          b.input('dy', [batch, ...to, channels]),
        ]),
      // As forward, and every output that read an input counts.
      reduction: 4 + Math.max(...from, ...to) ** 2,
      kinks: [],
    }),
  ),
);

const softmaxCases = (
  [
    [1, 1],
    [3, 5],
    [2, 16],
    [4, 17],
    [1, 1000],
    [2, 3, 4, 7],
  ] as readonly Shape[]
).map(
  (shape): OpCase => ({
    name: `softmaxGrad on ${shape.join('×')}`,
    kind: 'softmaxGrad',
    build: (b) => b.node('softmaxGrad', 'op', {}, [b.input('dy', shape), b.input('y', shape)]),
    reduction: 1 + (shape.at(-1) ?? 1),
    kinks: [],
  }),
);

const sliceCases = channelCounts.flatMap((count, i): readonly OpCase[] => {
  const [start, after] = [(i * 5) % 9, (i * 7) % 5];
  return [
    {
      name: `sliceChannels ${start}+${count}+${after}`,
      kind: 'sliceChannels',
      build: (b) =>
        b.node('sliceChannels', 'op', { start, count }, [
          b.input('x', [1 + (i % 3), 5, 40, start + count + after]),
        ]),
      reduction: 1,
      kinks: [],
    },
  ];
});

const fillCases = [[1], [3, 5], [2, 7, 9, 17], [20000]].map(
  (shape, i): OpCase => ({
    name: `constant ${shape.join('×')}`,
    kind: 'constant',
    build: (b) => b.node('constant', 'op', { shape, value: i === 1 ? 0 : 0.3 - i }, []),
    reduction: 1,
    kinks: [],
  }),
);

const reshapeCase: OpCase = {
  name: 'reshape 6×35 to 2×5×3×7',
  kind: 'reshape',
  build: (b) => b.node('reshape', 'op', { shape: [2, 5, 3, 7] }, [b.input('x', [6, 35])]),
  reduction: 1,
  kinks: [],
};

/** Reshaping, and what leads back through pools, gates, resizing and softmax. */
export const trainingSpatialCases: readonly OpCase[] = [
  ...(['max', 'average', 'average of all'] as const).flatMap((mode) =>
    [...windows, ...moreWindows].map((window) => poolGradientCase(mode, window)),
  ),
  ...averageCases,
  ...resizeCases,
  ...softmaxCases,
  ...sliceCases,
  ...fillCases,
  reshapeCase,
];
