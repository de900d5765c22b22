import { elementCount, formatShape, type Shape, sameShape } from '../tensor/tensor.ts';
import { type ConvGeometry, centreTap, formatGeometry, isUnitStride, windowOutputSize } from './geometry.ts';
import { convShapes, equalShapes, keepShape, poolShapes, resizeShapes } from './net-ops.ts';
import type { SsdLossAttrs, TrainingOpAttrs } from './op-attrs.ts';
import { fail, first, nhwc, type OpDefinition, plain, pointwise } from './op-definition.ts';

type Shapes = readonly Shape[];

function expect(found: Shape | undefined, wanted: Shape, what: string): void {
  if (!found || !sameShape(found, wanted))
    fail(`${what} must be ${formatShape(wanted)}, found ${formatShape(found ?? [])}`);
}

/** Inputs after `head` others and before `tail` others, in groups of `size`. */
function groupsOf(inputs: Shapes, head: number, size: number, tail = 0): readonly Shapes[] {
  const count = (inputs.length - head - tail) / size;
  if (!Number.isInteger(count) || count < 1)
    fail(`needs ${head} + n·${size} + ${tail} inputs, n ≥ 1, found ${inputs.length}`);
  return Array.from({ length: count }, (_, i) => inputs.slice(head + i * size, head + (i + 1) * size));
}

function channelsOf(shape: Shape): number {
  return shape.at(-1) ?? fail('x must have at least one axis');
}

function inputGradShapes(attrs: TrainingOpAttrs['conv2dInputGrad'], inputs: Shapes): Shapes {
  const [n] = nhwc(inputs[0], 'dy');
  const weight = inputs[1] ?? [];
  const dx = [n, attrs.height, attrs.width, (weight[1] ?? 0) * attrs.geometry.groups];
  expect(inputs[0], convShapes(attrs, [dx, weight])[0] ?? [], 'dy');
  return [dx];
}

function weightGradShapes({ geometry }: { geometry: ConvGeometry }, inputs: Shapes): Shapes {
  const [, , , c] = nhwc(inputs[0], 'x');
  const [, , , o] = nhwc(inputs[1], 'dy');
  const weight = [o, c / geometry.groups, ...geometry.kernel];
  expect(inputs[1], convShapes({ geometry }, [first(inputs), weight])[0] ?? [], 'dy');
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

function normSumShapes(_: TrainingOpAttrs['normSum'], inputs: Shapes): Shapes {
  const x = first(inputs);
  const vector = [channelsOf(x)];
  const branches = groupsOf(inputs, 0, 3);
  for (const [operand, gamma, beta] of branches) {
    expect(operand, x, 'every x');
    expect(gamma, vector, 'gamma');
    expect(beta, vector, 'beta');
  }
  return [x, ...branches.flatMap(() => [vector, vector])];
}

function normSumGradShapes({ fn }: TrainingOpAttrs['normSumGrad'], inputs: Shapes): Shapes {
  const dy = first(inputs);
  const vector = [channelsOf(dy)];
  const branches = groupsOf(inputs, 1, 4, fn === null ? 0 : 1);
  for (const [x, ...vectors] of branches) {
    expect(x, dy, 'every x');
    for (const each of vectors) expect(each, vector, 'gamma, mean and variance');
  }
  if (fn !== null) expect(inputs.at(-1), dy, 'y');
  return [vector, ...branches.flatMap(() => [dy, vector])];
}

function spatialDotShapes(_: unknown, inputs: Shapes): Shapes {
  const [n, , , c] = nhwc(inputs[0], 'x');
  expect(inputs[1], first(inputs), 'y');
  return [[n, 1, 1, c]];
}

function averageGradShapes(attrs: TrainingOpAttrs['globalAveragePoolGrad'], inputs: Shapes): Shapes {
  const [n, h, w, c] = nhwc(inputs[0], 'dy');
  if (h !== 1 || w !== 1) fail(`dy must be [N,1,1,C], found ${formatShape(first(inputs))}`);
  return [[n, attrs.height, attrs.width, c]];
}

/** mean and covariance of a geometry's patches. */
function momentShapes(geometry: ConvGeometry, channels: number): readonly [mean: Shape, covariance: Shape] {
  const { groups, kernel } = geometry;
  if (channels % groups !== 0) fail(`${channels} channels do not divide into ${groups} groups`);
  const patch = (channels / groups) * kernel[0] * kernel[1];
  return [
    [groups, patch],
    [groups, patch, patch],
  ];
}

function patchMomentsShapes({ geometry }: { geometry: ConvGeometry }, inputs: Shapes): Shapes {
  const [, h, w, c] = nhwc(inputs[0], 'x');
  const [height, width] = windowOutputSize(geometry, h, w);
  if (height < 1 || width < 1) fail(`a ${geometry.kernel.join('×')} window does not fit a ${h}×${w} input`);
  return momentShapes(geometry, c);
}

function patchMomentsGradShapes({ geometry }: { geometry: ConvGeometry }, inputs: Shapes): Shapes {
  const [, , , c] = nhwc(inputs[0], 'x');
  const [mean, covariance] = momentShapes(geometry, c);
  expect(inputs[1], mean, 'mean');
  expect(inputs[2], mean, 'dmean');
  expect(inputs[3], covariance, 'dcovariance');
  return [first(inputs)];
}

/** The full kernel's shape, whatever a branch's own. */
function mergedWeight({ geometry }: { geometry: ConvGeometry }, weight: Shape | undefined): Shape {
  return [weight?.[0] ?? 0, weight?.[1] ?? 0, ...geometry.kernel];
}

function checkMerge({ geometry, skip }: TrainingOpAttrs['mergeBranches'], weight: Shape): void {
  if (skip && (!isUnitStride(geometry) || (weight[1] ?? 0) * geometry.groups !== weight[0]))
    fail('a skip needs stride 1 and as many channels out as in');
  if (centreTap(geometry) === undefined)
    fail('branches need an odd kernel and padding = dilation·(kernel − 1)/2');
}

function checkBranchWeight(own: Shape | undefined, weight: Shape): void {
  const point = [...weight.slice(0, 2), 1, 1];
  if (!own || (!sameShape(own, weight) && !sameShape(own, point)))
    fail(`weight must be ${formatShape(weight)} or ${formatShape(point)}, found ${formatShape(own ?? [])}`);
}

function mergeShapes(attrs: TrainingOpAttrs['mergeBranches'], inputs: Shapes): Shapes {
  const weight = mergedWeight(attrs, inputs[2]);
  checkMerge(attrs, weight);
  const vector = [weight[0] ?? 0];
  const [mean, covariance] = momentShapes(attrs.geometry, (weight[1] ?? 0) * attrs.geometry.groups);
  expect(inputs[0], mean, 'mean');
  expect(inputs[1], covariance, 'covariance');
  const branches = groupsOf(inputs, 2, 3, attrs.skip ? 2 : 0);
  for (const [own, ...vectors] of branches) {
    checkBranchWeight(own, weight);
    for (const each of vectors) expect(each, vector, 'gamma and beta');
  }
  if (attrs.skip) for (const each of inputs.slice(-2)) expect(each, vector, 'gamma and beta of the skip');
  const statistics = Array.from({ length: 2 * (branches.length + (attrs.skip ? 1 : 0)) }, () => vector);
  return [weight, vector, ...statistics, ...branches.map(() => [vector[0] ?? 0, mean[1] ?? 0])];
}

function mergeGradShapes(attrs: TrainingOpAttrs['mergeBranchesGrad'], inputs: Shapes): Shapes {
  const skip = attrs.skip ? 1 : 0;
  const count = (inputs.length - 3 - 3 * skip) / 5;
  if (!Number.isInteger(count) || count < 1)
    fail(`needs 3 + 5·n${attrs.skip ? ' + 3' : ''} inputs, n ≥ 1, found ${inputs.length}`);
  const weight = mergedWeight(attrs, inputs[1]);
  checkMerge(attrs, weight);
  const vector = [weight[0] ?? 0];
  const [mean, covariance] = momentShapes(attrs.geometry, (weight[1] ?? 0) * attrs.geometry.groups);
  expect(inputs[0], mean, 'mean');
  const own = Array.from({ length: count }, (_, i) => inputs.slice(1 + 3 * i, 4 + 3 * i));
  for (const [kernel, gamma, product] of own) {
    checkBranchWeight(kernel, weight);
    expect(gamma, vector, 'gamma');
    expect(product, [vector[0] ?? 0, mean[1] ?? 0], 'weight·covariance');
  }
  for (const each of inputs.slice(1 + 3 * count, -2)) expect(each, vector, 'gamma, mean and variance');
  expect(inputs.at(-2), weight, 'dweight');
  expect(inputs.at(-1), vector, 'dbias');
  const gradients = own.flatMap(([kernel]) => [kernel ?? [], vector]);
  return [mean, covariance, ...gradients, ...(attrs.skip ? [vector] : [])];
}

function lossShapes(_: unknown, inputs: Shapes): Shapes {
  expect(inputs[1], first(inputs), 'targets');
  return [[1]];
}

function lossGradShapes(_: unknown, inputs: Shapes): Shapes {
  expect(inputs[1], first(inputs), 'targets');
  expect(inputs[2], [1], 'dloss');
  return [first(inputs)];
}

/** Shapes of (scores, boxes) × maps. */
function checkMaps({ classes }: SsdLossAttrs, inputs: Shapes, tail: number): readonly Shapes[] {
  const [images = 0, anchors = 0] = first(inputs);
  expect(inputs[0], [images, anchors], 'labels');
  expect(inputs[1], [images, anchors, 4], 'offsets');
  const maps = groupsOf(inputs, 2, 2, tail);
  let count = 0;
  for (const [scores = [], boxes = []] of maps) {
    count += elementCount(boxes) / 4;
    if (
      elementCount(scores) * 4 !== elementCount(boxes) * classes ||
      boxes[0] !== images ||
      scores[0] !== images
    )
      fail(
        `a map needs ${classes} scores and 4 offsets for each anchor of ${images} pictures, found ${formatShape(scores)} and ${formatShape(boxes)}`,
      );
  }
  if (count !== images * anchors)
    fail(
      `labels ${formatShape(first(inputs))} are for ${images * anchors} anchors, but the maps have ${count}`,
    );
  return maps;
}

const ssdFormat = ({ classes, background, negatives }: SsdLossAttrs): string =>
  `${classes} classes, background ${background}, ${negatives} negatives`;

/** An optimizer's: parameter, gradient, `memories` of its shape, rates, factor? */
function stepShapes(inputs: Shapes, memories: number, rates: number): Shapes {
  const parameter = first(inputs);
  for (const each of inputs.slice(1, 2 + memories)) expect(each, parameter, 'gradient and memory');
  expect(inputs[2 + memories], [rates], 'rates');
  if (inputs.length > 3 + memories) expect(inputs[3 + memories], [1], 'factor');
  return Array.from({ length: 1 + memories }, () => parameter);
}

const mergeFormat = ({ geometry, eps, skip }: TrainingOpAttrs['mergeBranches']): string =>
  `${formatGeometry(geometry)} eps ${eps}${skip ? ' skip' : ''}`;
const sizeFormat = ({ height, width }: { height: number; width: number }): string => `${height}x${width}`;

export const trainingOps: { readonly [K in keyof TrainingOpAttrs]: OpDefinition<K> } = {
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
      expect(inputs[0], poolShapes(attrs, inputs.slice(1))[0] ?? [], 'dy');
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
  patchMoments: {
    ...plain,
    inputs: ['x'],
    required: 1,
    shapes: patchMomentsShapes,
    format: ({ geometry }) => formatGeometry(geometry),
  },
  patchMomentsGrad: {
    ...plain,
    inputs: ['x', 'mean', 'dmean', 'dcovariance'],
    required: 4,
    shapes: patchMomentsGradShapes,
    format: ({ geometry }) => formatGeometry(geometry),
  },
  mergeBranches: {
    ...plain,
    inputs: ['mean', 'covariance', 'weight, gamma, beta…'],
    required: 5,
    shapes: mergeShapes,
    format: mergeFormat,
  },
  mergeBranchesGrad: {
    ...plain,
    inputs: ['mean', 'weight, gamma, product, mean, variance, dweight, dbias…'],
    required: 8,
    shapes: mergeGradShapes,
    format: mergeFormat,
  },
  crossEntropy: {
    ...plain,
    inputs: ['logits', 'targets'],
    required: 2,
    shapes: lossShapes,
    format: ({ smoothing }) => `smoothing ${smoothing}`,
  },
  crossEntropyGrad: {
    ...plain,
    inputs: ['logits', 'targets', 'dloss'],
    required: 3,
    shapes: lossGradShapes,
    format: ({ smoothing }) => `smoothing ${smoothing}`,
  },
  binaryCrossEntropy: { ...plain, inputs: ['logits', 'targets'], required: 2, shapes: lossShapes },
  binaryCrossEntropyGrad: {
    ...plain,
    inputs: ['logits', 'targets', 'dloss'],
    required: 3,
    shapes: lossGradShapes,
  },
  ssdLoss: {
    ...plain,
    inputs: ['labels', 'offsets', 'scores, boxes…'],
    required: 4,
    shapes: (attrs, inputs) => {
      checkMaps(attrs, inputs, 0);
      return [[1], [1], [1]];
    },
    format: ssdFormat,
  },
  ssdLossGrad: {
    ...plain,
    inputs: ['labels', 'offsets', 'scores, boxes, dloss…'],
    required: 5,
    shapes: (attrs, inputs) => {
      expect(inputs.at(-1), [1], 'dloss');
      return checkMaps(attrs, inputs, 1).flat();
    },
    format: ssdFormat,
  },
  lerp: {
    ...pointwise,
    inputs: ['average', 'value', 'rate'],
    required: 2,
    shapes: ({ rate }, inputs) => {
      expect(inputs[1], first(inputs), 'value');
      if (rate === null) expect(inputs[2], [1], 'rate');
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
