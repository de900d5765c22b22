/** Batch norms that measure their batch, summed as the end of a block. */
import type { TrainingOpAttrs } from './op-attrs.ts';
import { type OpDefinitions, plain } from './op-definition.ts';
import { channelsOf, expectShape, first, groupsOf, type Shapes } from './shape-checks.ts';

function normSumShapes(_: TrainingOpAttrs['normSum'], inputs: Shapes): Shapes {
  const x = first(inputs);
  const vector = [channelsOf(x)];
  const branches = groupsOf(inputs, 0, 3);
  for (const [operand, gamma, beta] of branches) {
    expectShape(operand, x, 'every x');
    expectShape(gamma, vector, 'gamma');
    expectShape(beta, vector, 'beta');
  }
  return [x, ...branches.flatMap(() => [vector, vector])];
}

function normSumGradShapes({ fn }: TrainingOpAttrs['normSumGrad'], inputs: Shapes): Shapes {
  const dy = first(inputs);
  const vector = [channelsOf(dy)];
  const branches = groupsOf(inputs, 1, 4, fn === null ? 0 : 1);
  for (const [x, ...vectors] of branches) {
    expectShape(x, dy, 'every x');
    for (const each of vectors) expectShape(each, vector, 'gamma, mean and variance');
  }
  if (fn !== null) expectShape(inputs.at(-1), dy, 'y');
  return [vector, ...branches.flatMap(() => [dy, vector])];
}

export const normOps: OpDefinitions<'normSum' | 'normSumGrad'> = {
  normSum: {
    ...plain,
    inputs: ['x, gamma, beta…'],
    required: 3,
    shapes: normSumShapes,
    format: ({ eps, fn }) => `eps ${eps}${fn === null ? '' : ` ${fn}`}`,
  },
  normSumGrad: {
    ...plain,
    inputs: ['dy', 'x, gamma, mean, variance, y…'],
    required: 5,
    shapes: normSumGradShapes,
    format: ({ eps, fn, statistics }) => `eps ${eps} ${statistics}${fn === null ? '' : ` ${fn}`}`,
  },
};
