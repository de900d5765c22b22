/** Branches of a block as one convolution: moments of patches, and what is composed of them. */
import { formatShape, type Shape, sameShape } from '../../tensor/tensor.ts';
import { type ConvGeometry, centreTap, formatGeometry, isUnitStride, windowOutputSize } from '../geometry.ts';
import type { TrainingOpAttrs } from './op-attrs.ts';
import { type OpDefinitions, plain } from './op-definition.ts';
import { expectShape, fail, first, groupsOf, nhwc, type Shapes } from './shape-checks.ts';

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
  expectShape(inputs[1], mean, 'mean');
  expectShape(inputs[2], mean, 'dmean');
  expectShape(inputs[3], covariance, 'dcovariance');
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
  expectShape(inputs[0], mean, 'mean');
  expectShape(inputs[1], covariance, 'covariance');
  const branches = groupsOf(inputs, 2, 3, attrs.skip ? 2 : 0);
  for (const [own, ...vectors] of branches) {
    checkBranchWeight(own, weight);
    for (const each of vectors) expectShape(each, vector, 'gamma and beta');
  }
  if (attrs.skip)
    for (const each of inputs.slice(-2)) expectShape(each, vector, 'gamma and beta of the skip');
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
  expectShape(inputs[0], mean, 'mean');
  const own = Array.from({ length: count }, (_, i) => inputs.slice(1 + 3 * i, 4 + 3 * i));
  for (const [kernel, gamma, product] of own) {
    checkBranchWeight(kernel, weight);
    expectShape(gamma, vector, 'gamma');
    expectShape(product, [vector[0] ?? 0, mean[1] ?? 0], 'weight·covariance');
  }
  for (const each of inputs.slice(1 + 3 * count, -2)) expectShape(each, vector, 'gamma, mean and variance');
  expectShape(inputs.at(-2), weight, 'dweight');
  expectShape(inputs.at(-1), vector, 'dbias');
  const gradients = own.flatMap(([kernel]) => [kernel ?? [], vector]);
  return [mean, covariance, ...gradients, ...(attrs.skip ? [vector] : [])];
}

const mergeFormat = ({ geometry, eps, skip }: TrainingOpAttrs['mergeBranches']): string =>
  `${formatGeometry(geometry)} eps ${eps}${skip ? ' skip' : ''}`;

export const mergeOps: OpDefinitions<
  'patchMoments' | 'patchMomentsGrad' | 'mergeBranches' | 'mergeBranchesGrad'
> = {
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
};
