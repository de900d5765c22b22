import { elementCount, formatShape, type Shape, sameShape } from '../../tensor/tensor.ts';
import { formatGeometry, windowOutputSize } from '../geometry.ts';
import type { NetOpAttrs, OpAttrs } from './op-attrs.ts';
import { type OpDefinitions, plain, pointwise } from './op-definition.ts';
import { checkVector, fail, first, nhwc } from './shape-checks.ts';

export function convShapes({ geometry }: OpAttrs['conv2d'], inputs: readonly Shape[]): readonly Shape[] {
  const [n, h, w, c] = nhwc(inputs[0], 'x');
  const weight = inputs[1] ?? [];
  const { groups, kernel } = geometry;
  const outChannels = weight[0] ?? 0;
  if (weight.length !== 4 || weight[2] !== kernel[0] || weight[3] !== kernel[1])
    fail(`weight must be [O,I,${kernel.join(',')}], found ${formatShape(weight)}`);
  if (c !== (weight[1] ?? 0) * groups)
    fail(
      `weight ${formatShape(weight)} with groups ${groups} needs ${(weight[1] ?? 0) * groups} input channels, but x is ${formatShape(first(inputs))}`,
    );
  if (outChannels % groups !== 0) fail(`${outChannels} output channels do not divide into ${groups} groups`);
  checkVector(inputs[2], outChannels, 'bias');
  return [[n, ...windowSize(geometry, h, w), outChannels]];
}

function windowSize(
  geometry: Parameters<typeof windowOutputSize>[0],
  h: number,
  w: number,
): readonly number[] {
  const size = windowOutputSize(geometry, h, w);
  if (size[0] < 1 || size[1] < 1)
    fail(`a ${geometry.kernel.join('×')} window does not fit a ${h}×${w} input`);
  return size;
}

function linearShapes(_: unknown, inputs: readonly Shape[]): readonly Shape[] {
  const [x, weight] = [first(inputs), inputs[1] ?? []];
  if (x.length !== 2) fail(`x must be [N,I], found ${formatShape(x)}`);
  if (weight.length !== 2 || weight[1] !== x[1])
    fail(`weight must be [O,${x[1]}] for x ${formatShape(x)}, found ${formatShape(weight)}`);
  checkVector(inputs[2], weight[0] ?? 0, 'bias');
  return [[x[0] ?? 0, weight[0] ?? 0]];
}

function multiplyShapes(_: unknown, inputs: readonly Shape[]): readonly Shape[] {
  const [x, y] = [first(inputs), inputs[1] ?? []];
  const gate = x.length === 4 ? [x[0] ?? 0, 1, 1, x[3] ?? 0] : x;
  if (!sameShape(x, y) && !sameShape(gate, y))
    fail(`y must be ${formatShape(x)} or ${formatShape(gate)}, found ${formatShape(y)}`);
  return [x];
}

function concatShapes(_: unknown, inputs: readonly Shape[]): readonly Shape[] {
  const [n, h, w] = nhwc(inputs[0], 'x');
  let channels = 0;
  for (const shape of inputs) {
    const [n2, h2, w2, c] = nhwc(shape, 'x');
    if (n2 !== n || h2 !== h || w2 !== w)
      fail(`inputs must agree in N, H, W: ${formatShape(first(inputs))} and ${formatShape(shape)} do not`);
    channels += c;
  }
  return [[n, h, w, channels]];
}

function normShapes(_: unknown, inputs: readonly Shape[]): readonly Shape[] {
  const x = first(inputs);
  const channels = x[x.length - 1] ?? fail('x must have at least one axis');
  for (const [i, what] of ['gamma', 'beta', 'mean', 'variance'].entries())
    checkVector(inputs[i + 1], channels, what);
  return [x];
}

export function equalShapes(_: unknown, inputs: readonly Shape[]): readonly Shape[] {
  for (const shape of inputs)
    if (!sameShape(shape, first(inputs)))
      fail(
        `operands must be equal in shape: ${formatShape(first(inputs))} and ${formatShape(shape)} are not`,
      );
  return [first(inputs)];
}

export const keepShape = (_: unknown, inputs: readonly Shape[]): readonly Shape[] => [first(inputs)];

export function poolShapes({ window }: OpAttrs['pool2d'], inputs: readonly Shape[]): readonly Shape[] {
  const [n, h, w, c] = nhwc(inputs[0], 'x');
  const [top, left, bottom, right] = window.padding;
  if (
    Math.max(top, bottom) >= window.kernel[0] * window.dilation[0] ||
    Math.max(left, right) >= window.kernel[1] * window.dilation[1]
  )
    fail(
      `padding [${window.padding.join(',')}] leaves a ${window.kernel.join('×')} window with no input to pool`,
    );
  return [[n, ...windowSize(window, h, w), c]];
}

export function resizeShapes(attrs: OpAttrs['resizeBilinear'], inputs: readonly Shape[]): readonly Shape[] {
  const [n, , , c] = nhwc(inputs[0], 'x');
  const { height, width } = attrs;
  if (!Number.isSafeInteger(height) || !Number.isSafeInteger(width) || height < 1 || width < 1)
    fail(`output size must be positive integers, found ${height}×${width}`);
  return [[n, height, width, c]];
}

export const netOps: OpDefinitions<keyof NetOpAttrs> = {
  conv2d: {
    ...plain,
    inputs: ['x', 'weight', 'bias'],
    required: 2,
    shapes: convShapes,
    macs: (_, inputs, output) => elementCount(output) * elementCount((inputs[1] ?? []).slice(1)),
    format: ({ geometry }) => formatGeometry(geometry),
  },
  batchNorm: {
    ...pointwise,
    inputs: ['x', 'gamma', 'beta', 'mean', 'variance'],
    required: 5,
    shapes: normShapes,
    format: ({ eps }) => `eps ${eps}`,
  },
  sum: { ...pointwise, inputs: ['x…'], required: 1, shapes: equalShapes },
  multiply: { ...pointwise, inputs: ['x', 'y'], required: 2, shapes: multiplyShapes },
  activation: { ...pointwise, inputs: ['x'], required: 1, shapes: keepShape, format: ({ fn }) => fn },
  globalAveragePool: {
    ...plain,
    inputs: ['x'],
    required: 1,
    shapes: (_, inputs) => {
      const [n, , , c] = nhwc(inputs[0], 'x');
      return [[n, 1, 1, c]];
    },
    pooled: (_, inputs) => elementCount(first(inputs)),
  },
  pool2d: {
    ...plain,
    inputs: ['x'],
    required: 1,
    shapes: poolShapes,
    pooled: (_, inputs) => elementCount(first(inputs)),
    format: ({ mode, window, countPadding }) =>
      `${mode} ${formatGeometry({ ...window, groups: 1 })}${mode === 'average' && countPadding ? ' count-padding' : ''}`,
  },
  flatten: {
    ...plain,
    inputs: ['x'],
    required: 1,
    shapes: (_, inputs) => [[first(inputs)[0] ?? 1, elementCount(first(inputs).slice(1))]],
    inPlaceSafe: true,
  },
  linear: {
    ...plain,
    inputs: ['x', 'weight', 'bias'],
    required: 2,
    shapes: linearShapes,
    macs: (_, inputs, output) => elementCount(output) * (inputs[1]?.[1] ?? 0),
  },
  softmax: { ...plain, inputs: ['x'], required: 1, shapes: keepShape, inPlaceSafe: true },
  resizeBilinear: {
    ...plain,
    inputs: ['x'],
    required: 1,
    shapes: resizeShapes,
    format: ({ height, width, alignCorners }) => `${height}x${width}${alignCorners ? ' align-corners' : ''}`,
  },
  concat: { ...plain, inputs: ['x…'], required: 1, shapes: concatShapes },
};
