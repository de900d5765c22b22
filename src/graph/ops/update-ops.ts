/** What a step does to parameters and averages. */
import { type OpDefinitions, plain, pointwise } from './op-definition.ts';
import { expectShape, first, type Shapes } from './shape-checks.ts';

/** An optimizer's: parameter, gradient, `memories` of its shape, rates, factor? */
function stepShapes(inputs: Shapes, memories: number, rates: number): Shapes {
  const parameter = first(inputs);
  for (const each of inputs.slice(1, 2 + memories)) expectShape(each, parameter, 'gradient and memory');
  expectShape(inputs[2 + memories], [rates], 'rates');
  if (inputs.length > 3 + memories) expectShape(inputs[3 + memories], [1], 'factor');
  return Array.from({ length: 1 + memories }, () => parameter);
}

export const updateOps: OpDefinitions<'lerp' | 'clipFactor' | 'sgd' | 'adamw'> = {
  lerp: {
    ...pointwise,
    inputs: ['average', 'value', 'rate'],
    required: 2,
    shapes: ({ rate }, inputs) => {
      expectShape(inputs[1], first(inputs), 'value');
      if (rate === null) expectShape(inputs[2], [1], 'rate');
      return [first(inputs)];
    },
    format: ({ rate, factor }) => `${rate === null ? '' : `rate ${rate} `}factor ${factor}`,
  },
  clipFactor: {
    ...plain,
    inputs: ['gradient…'],
    required: 1,
    shapes: () => [[1], [1]],
    format: ({ maxNorm }) => `norm ${maxNorm}`,
  },
  sgd: {
    ...pointwise,
    inputs: ['parameter', 'gradient', 'velocity', 'rates', 'factor'],
    required: 4,
    shapes: (_, inputs) => stepShapes(inputs, 1, 2),
    format: (attrs) =>
      `momentum ${attrs.momentum}${attrs.nesterov ? ' nesterov' : ''} rate ×${attrs.rateScale} decay ×${attrs.decayScale}`,
  },
  adamw: {
    ...pointwise,
    inputs: ['parameter', 'gradient', 'first', 'second', 'rates', 'factor'],
    required: 5,
    shapes: (_, inputs) => stepShapes(inputs, 2, 4),
    format: (attrs) =>
      `betas ${attrs.beta1} ${attrs.beta2} eps ${attrs.eps} rate ×${attrs.rateScale} decay ×${attrs.decayScale}`,
  },
};
