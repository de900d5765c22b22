import type { Shape } from '../../src/tensor/tensor.ts';
import type { OpCase } from './op-case.ts';

const shapes: readonly Shape[] = [
  [1, 1],
  [1, 10],
  [3, 2],
  [5, 17],
  [2, 64],
  [4, 33],
  [32, 20],
  [3, 1000],
  [2, 2, 3, 5],
  [2, 19, 17, 21],
];

/** Targets are drawn positive; their rows need not add up to 1. */
function crossEntropyCases(shape: Shape, smoothing: number): readonly OpCase[] {
  const what = `smoothing ${smoothing} on ${shape.join('×')}`;
  const classes = shape.at(-1) ?? 1;
  const reduction = 16 + classes;
  return [
    {
      name: `crossEntropy ${what}`,
      kind: 'crossEntropy',
      build: (b) =>
        b.node('crossEntropy', 'op', { smoothing }, [
          b.input('logits', shape),
          b.parameter('targets', shape, 'variance'),
        ]),
      reduction: reduction + shape.slice(0, -1).reduce((x, y) => x * y, 1),
      kinks: [],
    },
    {
      name: `crossEntropyGrad ${what}`,
      kind: 'crossEntropyGrad',
      build: (b) =>
        b.node('crossEntropyGrad', 'op', { smoothing }, [
          b.input('logits', shape),
          b.parameter('targets', shape, 'variance'),
          b.input('dloss', [1]),
        ]),
      reduction,
      kinks: [],
    },
  ];
}

function binaryCases(shape: Shape): readonly OpCase[] {
  const count = shape.reduce((x, y) => x * y, 1);
  return [
    {
      name: `binaryCrossEntropy on ${shape.join('×')}`,
      kind: 'binaryCrossEntropy',
      build: (b) =>
        b.node('binaryCrossEntropy', 'op', {}, [
          b.input('logits', shape),
          b.parameter('targets', shape, 'variance'),
        ]),
      reduction: 16 + count,
      kinks: [],
    },
    {
      name: `binaryCrossEntropyGrad on ${shape.join('×')}`,
      kind: 'binaryCrossEntropyGrad',
      build: (b) =>
        b.node('binaryCrossEntropyGrad', 'op', {}, [
          b.input('logits', shape),
          b.parameter('targets', shape, 'variance'),
          b.input('dloss', [1]),
        ]),
      reduction: 16,
      kinks: [],
    },
  ];
}

export const trainingLossCases: readonly OpCase[] = [
  ...shapes.flatMap((shape) => [0, 0.1].flatMap((smoothing) => crossEntropyCases(shape, smoothing))),
  ...shapes.flatMap(binaryCases),
];
