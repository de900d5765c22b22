import { type ActivationName, activations } from '../../src/graph/activations.ts';
import type { NoAttrs, OpAttrs, OpKind } from '../../src/graph/graph.ts';
import { activationLayer, batchNormLayer, linearLayer } from '../../src/graph/layers.ts';
import type { Shape } from '../../src/tensor/tensor.ts';
import { channelCounts } from './convolution-cases.ts';
import type { OpCase } from './op-case.ts';

type PlainOp = { [K in OpKind]: NoAttrs extends OpAttrs[K] ? K : never }[OpKind];

/** An op without attributes on inputs `x0`, `x1`, … */
function plainCase(kind: PlainOp, shapes: readonly Shape[], reduction: number): OpCase {
  return {
    name: `${kind} on ${shapes.map((shape) => shape.join('×')).join(', ')}`,
    kind,
    build: (b) =>
      b.node(
        kind,
        'op',
        {},
        shapes.map((shape, i) => b.input(`x${i}`, shape)),
      ),
    reduction,
    kinks: [],
  };
}

const repeat = (shape: Shape, times: number): readonly Shape[] => Array.from({ length: times }, () => shape);

const shapes: readonly Shape[] = [
  [1, 3, 5, 8],
  [2, 3, 3, 17],
  [3, 1, 1, 5],
  [2, 33],
];

const activationCases: readonly OpCase[] = Object.entries(activations).flatMap(([name, rule]) =>
  shapes.map(
    (shape): OpCase => ({
      name: `activation ${name} on ${shape.join('×')}`,
      kind: 'activation',
      build: (b) => activationLayer(b, 'op', b.input('x', shape), name as ActivationName),
      reduction: 16, // the exponential, which engines approximate to a few units in the last place
      kinks: rule.kinks,
    }),
  ),
);

const normCases: readonly OpCase[] = [
  ...channelCounts.map((channels, i): Shape => [1 + (i % 3), 2, 3, channels]),
  [4, 19],
].map((shape, i) => ({
  name: `batchNorm on ${shape.join('×')}`,
  kind: 'batchNorm',
  build: (b) => batchNormLayer(b, 'op', b.input('x', shape), i % 2 ? 1e-3 : 1e-5),
  reduction: 4,
  kinks: [],
}));

const linearSizes: readonly (readonly [batch: number, from: number, to: number])[] = [
  [1, 1, 1],
  [1, 64, 33],
  [2, 17, 5],
  [3, 48, 16],
  [4, 7, 31],
  [5, 3, 64],
  [8, 33, 17],
  [1, 130, 10],
];

const linearCases: readonly OpCase[] = linearSizes.flatMap(([batch, from, to]) =>
  [true, false].map(
    (bias): OpCase => ({
      name: `linear ${from}→${to} batch ${batch}${bias ? ' bias' : ''}`,
      kind: 'linear',
      build: (b) => {
        const x = b.input('x', [batch, from]);
        if (bias) return linearLayer(b, 'op', x, to);
        return b.node('linear', 'op', {}, [x, b.parameter('op.weight', [to, from], 'weight')]);
      },
      reduction: from + (bias ? 1 : 0),
      kinks: [],
    }),
  ),
);

const rows: readonly Shape[] = [
  [1, 1],
  [1, 10],
  [3, 17],
  [2, 64],
  [2, 2, 3, 5],
];

const parts: readonly (readonly number[])[] = [[7], [8, 8], [3, 17], [1, 16, 5], [4, 33, 1, 15]];

export const elementCases: readonly OpCase[] = [
  ...activationCases,
  ...normCases,
  ...[1, 2, 3, 4, 5].flatMap((terms) => shapes.map((shape) => plainCase('sum', repeat(shape, terms), terms))),
  ...shapes.map((shape) => plainCase('multiply', repeat(shape, 2), 1)),
  ...shapes
    .filter((shape) => shape.length === 4 && shape[1] !== 1)
    .map((shape) => plainCase('multiply', [shape, [shape[0] ?? 1, 1, 1, shape[3] ?? 1]], 1)),
  plainCase(
    'multiply',
    [
      [2, 5, 7, 48],
      [2, 1, 1, 48],
    ],
    1,
  ),
  ...linearCases,
  ...rows.map((shape) => plainCase('softmax', [shape], 16 + (shape.at(-1) ?? 1))),
  ...[
    [2, 1, 1, 17],
    [1, 3, 5, 4],
    [3, 7],
    [2, 4, 3, 1],
  ].map((shape) => plainCase('flatten', [shape], 1)),
  ...parts.map((widths, i) =>
    plainCase(
      'concat',
      widths.map((width) => [1 + (i % 3), 3, 5, width]),
      1,
    ),
  ),
];
