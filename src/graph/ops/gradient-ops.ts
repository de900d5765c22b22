/** Gradients of the ops of nets, and the products and sums that they are made of. */
import { elementCount, formatShape } from '../../tensor/tensor.ts';
import { type ConvGeometry, formatGeometry } from '../geometry.ts';
import { convShapes, equalShapes, poolShapes, resizeShapes } from './net-ops.ts';
import type { TrainingOpAttrs } from './op-attrs.ts';
import { type OpDefinitions, plain, pointwise } from './op-definition.ts';
import { channelsOf, expectShape, fail, first, nhwc, type Shapes } from './shape-checks.ts';

function inputGradShapes(attrs: TrainingOpAttrs['conv2dInputGrad'], inputs: Shapes): Shapes {
  const [n] = nhwc(inputs[0], 'dy');
  const weight = inputs[1] ?? [];
  const dx = [n, attrs.height, attrs.width, (weight[1] ?? 0) * attrs.geometry.groups];
  expectShape(inputs[0], convShapes(attrs, [dx, weight])[0] ?? [], 'dy');
  return [dx];
}

function weightGradShapes({ geometry }: { geometry: ConvGeometry }, inputs: Shapes): Shapes {
  const [, , , c] = nhwc(inputs[0], 'x');
  const [, , , o] = nhwc(inputs[1], 'dy');
  const weight = [o, c / geometry.groups, ...geometry.kernel];
  expectShape(inputs[1], convShapes({ geometry }, [first(inputs), weight])[0] ?? [], 'dy');
  return [weight];
}

function matmulShapes({ transposeA, transposeB }: TrainingOpAttrs['matmul'], inputs: Shapes): Shapes {
  const [a, b] = [first(inputs), inputs[1] ?? []];
  if (a.length !== 2 || b.length !== 2)
    fail(`a and b must be matrices, found ${formatShape(a)} and ${formatShape(b)}`);
  const [m = 0, k = 0] = transposeA ? a.toReversed() : a;
  const [k2 = 0, n = 0] = transposeB ? b.toReversed() : b;
  if (k !== k2) fail(`a ${formatShape(a)} and b ${formatShape(b)} do not fit together`);
  return [[m, n]];
}

function spatialDotShapes(_: unknown, inputs: Shapes): Shapes {
  const [n, , , c] = nhwc(inputs[0], 'x');
  expectShape(inputs[1], first(inputs), 'y');
  return [[n, 1, 1, c]];
}

function averageGradShapes(attrs: TrainingOpAttrs['globalAveragePoolGrad'], inputs: Shapes): Shapes {
  const [n, h, w, c] = nhwc(inputs[0], 'dy');
  if (h !== 1 || w !== 1) fail(`dy must be [N,1,1,C], found ${formatShape(first(inputs))}`);
  return [[n, attrs.height, attrs.width, c]];
}

const sizeFormat = ({ height, width }: { height: number; width: number }): string => `${height}x${width}`;

export const gradientOps: OpDefinitions<
  | 'conv2dInputGrad'
  | 'conv2dWeightGrad'
  | 'matmul'
  | 'channelSum'
  | 'activationGrad'
  | 'spatialDot'
  | 'globalAveragePoolGrad'
  | 'pool2dGrad'
  | 'resizeBilinearGrad'
  | 'softmaxGrad'
> = {
  conv2dInputGrad: {
    ...plain,
    inputs: ['dy', 'weight'],
    required: 2,
    shapes: inputGradShapes,
    macs: (_, inputs) => elementCount(first(inputs)) * elementCount((inputs[1] ?? []).slice(1)),
    format: (attrs) => `${formatGeometry(attrs.geometry)} to ${sizeFormat(attrs)}`,
  },
  conv2dWeightGrad: {
    ...plain,
    inputs: ['x', 'dy'],
    required: 2,
    shapes: weightGradShapes,
    macs: (_, inputs, output) => elementCount(inputs[1] ?? []) * elementCount(output.slice(1)),
    format: ({ geometry }) => formatGeometry(geometry),
  },
  matmul: {
    ...plain,
    inputs: ['a', 'b'],
    required: 2,
    shapes: matmulShapes,
    macs: ({ transposeA }, inputs, output) => elementCount(output) * (first(inputs)[transposeA ? 0 : 1] ?? 0),
    format: ({ transposeA, transposeB }) => `a${transposeA ? 'ᵀ' : ''}·b${transposeB ? 'ᵀ' : ''}`,
  },
  channelSum: { ...plain, inputs: ['x'], required: 1, shapes: (_, inputs) => [[channelsOf(first(inputs))]] },
  activationGrad: {
    ...pointwise,
    inputs: ['dy', 'x'],
    required: 2,
    shapes: equalShapes,
    format: ({ fn }) => fn,
  },
  spatialDot: { ...plain, inputs: ['x', 'y'], required: 2, shapes: spatialDotShapes },
  globalAveragePoolGrad: {
    ...plain,
    inputs: ['dy'],
    required: 1,
    shapes: averageGradShapes,
    format: sizeFormat,
  },
  pool2dGrad: {
    ...plain,
    inputs: ['dy', 'x'],
    required: 2,
    shapes: (attrs, inputs) => {
      expectShape(inputs[0], poolShapes(attrs, inputs.slice(1))[0] ?? [], 'dy');
      return [inputs[1] ?? []];
    },
    format: ({ mode, window }) => `${mode} ${formatGeometry({ ...window, groups: 1 })}`,
  },
  resizeBilinearGrad: {
    ...plain,
    inputs: ['dy'],
    required: 1,
    shapes: resizeShapes,
    format: (attrs) => `${sizeFormat(attrs)}${attrs.alignCorners ? ' align-corners' : ''}`,
  },
  softmaxGrad: { ...plain, inputs: ['dy', 'y'], required: 2, shapes: equalShapes },
};
