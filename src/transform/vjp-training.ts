import type { Node, OpKind, ValueId } from '../graph/graph.ts';
import type { TrainingOpAttrs } from '../graph/ops/op-attrs.ts';
import {
  cotangent,
  cotangents,
  gradient,
  inputOf,
  inputShape,
  refuse,
  type VjpContext,
  type VjpRules,
} from './vjp-rule.ts';

const gradientOp = 'it belongs to a backward pass, and second derivatives are not available';
const update = 'it renews a value after the loss is known';

/** Ops that a loss may not lie behind, and why. */
export const unsupported = {
  conv2dInputGrad: gradientOp,
  conv2dWeightGrad: gradientOp,
  channelSum: gradientOp,
  normSumGrad: gradientOp,
  activationGrad: gradientOp,
  spatialDot: gradientOp,
  globalAveragePoolGrad: gradientOp,
  pool2dGrad: gradientOp,
  resizeBilinearGrad: gradientOp,
  softmaxGrad: gradientOp,
  patchMomentsGrad: gradientOp,
  mergeBranchesGrad: gradientOp,
  crossEntropyGrad: gradientOp,
  binaryCrossEntropyGrad: gradientOp,
  ssdLossGrad: gradientOp,
  lerp: update,
  clipFactor: update,
  sgd: update,
  adamw: update,
} as const satisfies Partial<Readonly<Record<OpKind, string>>>;

type Differentiable = Exclude<keyof TrainingOpAttrs, keyof typeof unsupported>;

/** d logits of a loss (logits, targets); targets are given. */
function lossVjp(
  node: Node<'crossEntropy' | 'binaryCrossEntropy'>,
  context: VjpContext,
  gradientOf: (name: string, inputs: readonly ValueId[]) => ValueId,
): readonly (ValueId | undefined)[] {
  const given = refuse(node, context, [1], 'targets');
  const operands = [inputOf(node, 0), inputOf(node, 1), cotangent(node, context)];
  return [gradientOf(`${node.name}.grad`, operands), ...given];
}

/** [N,H,W,count] of zeros beside a cotangent: what `sliceChannels` left out. */
function zerosBeside(node: Node, { b }: VjpContext, side: string, like: readonly number[], count: number) {
  const attrs = { shape: [...like.slice(0, -1), count], value: 0 };
  return count > 0 ? [b.node('constant', `${node.name}.grad.${side}`, attrs, [])] : [];
}

export const trainingVjps: VjpRules<Differentiable> = {
  constant: () => [],
  matmul: (node, context) => {
    const [a, b, dy] = [inputOf(node, 0), inputOf(node, 1), cotangent(node, context)];
    const { transposeA, transposeB } = node.attrs;
    const da = transposeA
      ? { attrs: { transposeA: transposeB, transposeB: true }, of: [b, dy] }
      : { attrs: { transposeA: false, transposeB: !transposeB }, of: [dy, b] };
    const db = transposeB
      ? { attrs: { transposeA: true, transposeB: transposeA }, of: [dy, a] }
      : { attrs: { transposeA: !transposeA, transposeB: false }, of: [a, dy] };
    return [
      gradient(node, context, 0, { what: 'a', kind: 'matmul', ...da }),
      gradient(node, context, 1, { what: 'b', kind: 'matmul', ...db }),
    ];
  },
  reshape: (node, context) => {
    const shape = inputShape(node, context);
    return [context.b.node('reshape', `${node.name}.grad`, { shape }, [cotangent(node, context)])];
  },
  scale: (node, context) => [
    context.b.node('scale', `${node.name}.grad`, node.attrs, [cotangent(node, context)]),
  ],
  sliceChannels: (node, context) => {
    const dy = cotangent(node, context);
    const shape = inputShape(node, context);
    const { start, count } = node.attrs;
    const before = zerosBeside(node, context, 'before', shape, start);
    const after = zerosBeside(node, context, 'after', shape, (shape.at(-1) ?? 0) - start - count);
    return [context.b.node('concat', `${node.name}.grad`, {}, [...before, dy, ...after])];
  },
  normSum: (node, context) => {
    const { eps, fn } = node.attrs;
    const [y, ...statistics] = node.outputs;
    const branches = node.inputs.length / 3;
    const operands = Array.from({ length: branches }, (_, i) => [
      inputOf(node, 3 * i),
      inputOf(node, 3 * i + 1),
      ...statistics.slice(2 * i, 2 * i + 2),
    ]).flat();
    const kept = fn === null || y === undefined ? [] : [y];
    const [dbeta, ...rest] = context.b.results(
      'normSumGrad',
      `${node.name}.grad`,
      { eps, fn, statistics: 'batch' },
      [cotangent(node, context), ...operands, ...kept],
    );
    return Array.from({ length: branches }, (_, i) => [rest[2 * i], rest[2 * i + 1], dbeta]).flat();
  },
  patchMoments: (node, context) => {
    const [x, mean] = [inputOf(node, 0), ...node.outputs.slice(0, 1)];
    const operands = [x, mean, ...cotangents(node, context, 2)].flatMap((id) => id ?? []);
    return [context.b.node('patchMomentsGrad', `${node.name}.grad`, node.attrs, operands)];
  },
  mergeBranches: (node, context) => {
    const { skip } = node.attrs;
    const [dweight, dbias] = cotangents(node, context, 2);
    const [mean, , ...rest] = node.inputs;
    const branches = Math.floor((rest.length - (skip ? 2 : 0)) / 3);
    const statistics = node.outputs.slice(2, node.outputs.length - branches);
    const products = node.outputs.slice(-branches);
    const own = products.flatMap((product, i) => [...rest.slice(3 * i, 3 * i + 2), product]);
    const skipGamma = skip ? rest.slice(3 * branches, 3 * branches + 1) : [];
    const [dmean, dcovariance, ...grads] = context.b.results(
      'mergeBranchesGrad',
      `${node.name}.grad`,
      node.attrs,
      [mean, ...own, ...skipGamma, ...statistics, dweight, dbias].flatMap((id) => id ?? []),
    );
    const each = Array.from({ length: branches }, (_, i) => [grads[2 * i], grads[2 * i + 1], dbias]).flat();
    return [dmean, dcovariance, ...each, ...(skip ? [grads[2 * branches], dbias] : [])];
  },
  crossEntropy: (node, context) =>
    lossVjp(node, context, (name, of) => context.b.node('crossEntropyGrad', name, node.attrs, of)),
  binaryCrossEntropy: (node, context) =>
    lossVjp(node, context, (name, of) => context.b.node('binaryCrossEntropyGrad', name, node.attrs, of)),
  ssdLoss: (node, context) => {
    const given = refuse(node, context, [0, 1], 'labels and offsets');
    const operands = [...node.inputs, cotangent(node, context)];
    return [...given, ...context.b.results('ssdLossGrad', `${node.name}.grad`, node.attrs, operands)];
  },
};
