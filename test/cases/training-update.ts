import type { OpAttrs } from '../../src/graph/graph.ts';
import type { Shape } from '../../src/tensor/tensor.ts';
import type { OpCase } from './op-case.ts';

const shapes: readonly Shape[] = [[1], [2], [7], [16], [17, 3, 3, 3], [65, 64], [3, 5000]];

const onShape = (shape: Shape): string => `on ${shape.join('×')}`;

function lerpCases(shape: Shape): readonly OpCase[] {
  return [null, 0.1].map((rate) => ({
    name: `lerp ${rate === null ? 'by input' : rate} ${onShape(shape)}`,
    kind: 'lerp',
    build: (b) => {
      const from = [b.input('average', shape), b.input('value', shape)];
      if (rate === null) from.push(b.parameter('rate', [1], 'variance'));
      return b.node('lerp', 'op', { rate, factor: 1.25 }, from);
    },
    reduction: 4,
    kinks: [],
  }));
}

const sgdAttrs: readonly OpAttrs['sgd'][] = [
  { momentum: 0.9, nesterov: false, rateScale: 1, decayScale: 1 },
  { momentum: 0.8, nesterov: true, rateScale: 0.5, decayScale: 0 },
];

const adamwAttrs: readonly OpAttrs['adamw'][] = [
  { beta1: 0.9, beta2: 0.999, eps: 1e-8, rateScale: 1, decayScale: 1 },
  { beta1: 0.8, beta2: 0.95, eps: 1e-3, rateScale: 2, decayScale: 0.5 },
];

const clipping = [false, true] as const;

function sgdCases(shape: Shape): readonly OpCase[] {
  return sgdAttrs.flatMap((attrs) =>
    clipping.map((clipped) => ({
      name: `sgd ${attrs.nesterov ? 'nesterov ' : ''}${clipped ? 'clipped ' : ''}${onShape(shape)}`,
      kind: 'sgd',
      build: (b) =>
        b.results('sgd', 'op', attrs, [
          b.input('parameter', shape),
          b.input('gradient', shape),
          b.input('velocity', shape),
          b.parameter('rates', [2], 'variance'),
          ...(clipped ? [b.parameter('factor', [1], 'variance')] : []),
        ]),
      reduction: 8,
      kinks: [],
    })),
  );
}

function adamwCases(shape: Shape): readonly OpCase[] {
  return adamwAttrs.flatMap((attrs) =>
    clipping.map((clipped) => ({
      name: `adamw eps ${attrs.eps} ${clipped ? 'clipped ' : ''}${onShape(shape)}`,
      kind: 'adamw',
      build: (b) =>
        b.results('adamw', 'op', attrs, [
          b.input('parameter', shape),
          b.input('gradient', shape),
          b.input('first', shape),
          b.parameter('second', shape, 'variance'),
          b.parameter('rates', [4], 'variance'),
          ...(clipped ? [b.parameter('factor', [1], 'variance')] : []),
        ]),
      reduction: 16,
      kinks: [],
    })),
  );
}

const clipCases: readonly OpCase[] = [
  [[1]],
  [[5], [16, 3]],
  [[64], [17], [9], [31, 7], [1]],
  [[70_001], [33]],
].flatMap((gradients) =>
  [0.5, 1e6].map(
    (maxNorm): OpCase => ({
      name: `clipFactor ${maxNorm} of ${gradients.map((shape) => shape.join('×')).join(', ')}`,
      kind: 'clipFactor',
      build: (b) =>
        b.results(
          'clipFactor',
          'op',
          { maxNorm },
          gradients.map((shape, i) => b.input(`g${i}`, shape)),
        ),
      reduction: 16,
      kinks: [],
    }),
  ),
);

export const trainingUpdateCases: readonly OpCase[] = [
  ...shapes.flatMap((shape) => [...lerpCases(shape), ...sgdCases(shape), ...adamwCases(shape)]),
  ...clipCases,
];
