import { type ActivationName, activations } from '../../src/graph/activations.ts';
import type { OpAttrs, ValueId } from '../../src/graph/graph.ts';
import type { Shape } from '../../src/tensor/tensor.ts';
import { channelCounts } from './convolution-cases.ts';
import type { OpCase } from './op-case.ts';

const positionsOf = (shape: Shape): number => shape.slice(0, -1).reduce((a, b) => a * b, 1);

interface NormSize {
  readonly shape: Shape;
  readonly branches: number;
  readonly fn: OpAttrs['normSum']['fn'];
}

const fns = [null, 'relu', 'shiftedRelu', 'relu6'] as const;

/** Every width, every number of branches, positions that one tile holds and that several share. */
const sizes: readonly NormSize[] = [
  ...channelCounts.map((channels, i) => ({
    shape: [1 + (i % 3), 3, 2, channels],
    branches: 1 + (i % 3),
    fn: fns[i % fns.length] ?? null,
  })),
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 12].map((branches, i) => ({
    shape: [2, 3, 5, 19],
    branches,
    fn: fns[i % fns.length] ?? null,
  })),
  ...[127, 128, 129, 700].map((rows, i) => ({
    shape: [rows, 5 + 14 * i],
    branches: 2,
    fn: fns[i % fns.length] ?? null,
  })),
  { shape: [4, 9, 11, 48], branches: 6, fn: 'relu' },
  { shape: [2, 5, 9, 160], branches: 3, fn: 'relu' },
];

const attrsName = ({ shape, branches, fn }: NormSize): string =>
  `${branches} × ${shape.join('×')}${fn ? ` ${fn}` : ''}`;

const normCases = sizes.map((size): OpCase => {
  const { shape, branches, fn } = size;
  const vector = [shape.at(-1) ?? 1];
  return {
    name: `normSum ${attrsName(size)}`,
    kind: 'normSum',
    build: (b) =>
      b.results(
        'normSum',
        'op',
        { eps: 1e-5, fn },
        Array.from({ length: branches }, (_, i): ValueId[] => [
          b.input(`x${i}`, shape),
          b.parameter(`gamma${i}`, vector, 'gamma'),
          b.parameter(`beta${i}`, vector, 'beta'),
        ]).flat(),
      ),
    reduction: 4 * branches + positionsOf(shape),
    kinks: [],
  };
});

const normGradCases = (['batch', 'fixed'] as const).flatMap((statistics) =>
  sizes.map((size): OpCase => {
    const { shape, branches, fn } = size;
    const vector = [shape.at(-1) ?? 1];
    return {
      name: `normSumGrad ${statistics} ${attrsName(size)}`,
      kind: 'normSumGrad',
      build: (b) => {
        const groups = Array.from({ length: branches }, (_, i): ValueId[] => [
          b.input(`x${i}`, shape),
          b.parameter(`gamma${i}`, vector, 'gamma'),
          b.parameter(`mean${i}`, vector, 'mean'),
          b.parameter(`variance${i}`, vector, 'variance'),
        ]);
        const y = fn === null ? [] : [b.input('y', shape)];
        const attrs = { eps: 1e-5, fn, statistics };
        return b.results('normSumGrad', 'op', attrs, [b.input('dy', shape), ...groups.flat(), ...y]);
      },
      reduction: 4 + positionsOf(shape),
      kinks: fn === null ? [] : activations[fn].kinks,
    };
  }),
);

const shapes: readonly Shape[] = [[1], [5], [2, 33], [3, 1, 1, 5], [2, 3, 3, 17], [4100], [3, 5, 1500]];

const activationGradCases = Object.entries(activations).flatMap(([name, rule]) =>
  shapes.map(
    (shape): OpCase => ({
      name: `activationGrad ${name} on ${shape.join('×')}`,
      kind: 'activationGrad',
      build: (b) =>
        b.node('activationGrad', 'op', { fn: name as ActivationName }, [
          b.input('dy', shape),
          b.input('x', shape),
        ]),
      reduction: 16, // as the functions themselves
      kinks: rule.kinks,
    }),
  ),
);

const channelSumCases = [
  ...channelCounts.map((channels, i): Shape => [1 + (i % 3), 2, 3, channels]),
  [1, 1],
  [7],
  ...[127, 128, 129, 700].map((rows, i): Shape => [rows, 3 + 15 * i]),
  [2, 300, 5],
].map(
  (shape): OpCase => ({
    name: `channelSum on ${shape.join('×')}`,
    kind: 'channelSum',
    build: (b) => b.node('channelSum', 'op', {}, [b.input('x', shape)]),
    reduction: positionsOf(shape),
    kinks: [],
  }),
);

const scaleCases = shapes.map(
  (shape, i): OpCase => ({
    name: `scale on ${shape.join('×')}`,
    kind: 'scale',
    build: (b) => b.node('scale', 'op', { factor: i % 2 ? 0.375 : -3.1 }, [b.input('x', shape)]),
    reduction: 1,
    kinks: [],
  }),
);

/** Batch norms that measure their batch, their gradients, and what else a block's backward pass needs. */
export const trainingNormCases: readonly OpCase[] = [
  ...normCases,
  ...normGradCases,
  ...activationGradCases,
  ...channelSumCases,
  ...scaleCases,
];
