/** Ops that move numbers, or make them of none. */
import { elementCount, formatShape } from '../../tensor/tensor.ts';
import { keepShape } from './net-ops.ts';
import { type OpDefinitions, plain, pointwise } from './op-definition.ts';
import { fail, first, nhwc } from './shape-checks.ts';

export const shapeOps: OpDefinitions<'reshape' | 'constant' | 'scale' | 'sliceChannels'> = {
  reshape: {
    ...plain,
    inputs: ['x'],
    required: 1,
    shapes: ({ shape }, inputs) =>
      elementCount(shape) === elementCount(first(inputs))
        ? [shape]
        : fail(`${formatShape(first(inputs))} does not hold as many numbers as ${formatShape(shape)}`),
    inPlaceSafe: true,
    format: ({ shape }) => formatShape(shape),
  },
  constant: {
    ...plain,
    inputs: [],
    required: 0,
    shapes: ({ shape }) => [shape],
    format: ({ shape, value }) => `${value} ${formatShape(shape)}`,
  },
  scale: { ...pointwise, inputs: ['x'], required: 1, shapes: keepShape, format: ({ factor }) => `${factor}` },
  sliceChannels: {
    ...plain,
    inputs: ['x'],
    required: 1,
    shapes: ({ start, count }, inputs) => {
      const [n, h, w, c] = nhwc(inputs[0], 'x');
      if (start < 0 || count < 1 || start + count > c)
        fail(`channels ${start} … ${start + count - 1} are not within ${formatShape(first(inputs))}`);
      return [[n, h, w, count]];
    },
    format: ({ start, count }) => `${start}+${count}`,
  },
};
