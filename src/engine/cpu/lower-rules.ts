import { EngineError } from '../../errors.ts';
import { convGeometry } from '../../graph/geometry.ts';
import type { NetOpKind, Node, ValueId } from '../../graph/graph.ts';
import { isNetNode } from '../../graph/node-rules.ts';
import { planConcat } from '../../kernel/copy/concat.ts';
import { planSoftmax } from '../../kernel/loss/softmax.ts';
import { planPool2d } from '../../kernel/pool/pool2d.ts';
import { planResizeBilinear } from '../../kernel/pool/resize-bilinear.ts';
import { planGlobalAveragePool } from '../../kernel/pool/spatial-sum.ts';
import { type Shape, sameShape } from '../../tensor/tensor.ts';
import {
  type ChainLink,
  type ConvWeights,
  constant,
  input,
  type LowerContext,
  type Lowered,
  shapeOf,
  whole,
} from './lowered.ts';

type LowerRule<K extends NetOpKind> = (node: Node<K>, context: LowerContext) => Lowered;
type LowerTable = { readonly [K in NetOpKind]: LowerRule<K> };

const pointGeometry = convGeometry({ kernel: 1 });

/** @param shape OIHW, of as many numbers as the weights have */
function convWeights(node: Node, context: LowerContext, shape: Shape): ConvWeights {
  const [, weight, bias] = node.inputs;
  const isKnown = (operand: ValueId | undefined): boolean =>
    operand === undefined || context.constants.has(operand);
  if (weight !== undefined && !(isKnown(weight) && isKnown(bias)))
    return { kind: 'computed', shape, weight, bias };
  return {
    kind: 'constant',
    weight: { ...constant(node, context, 1), shape },
    bias: bias === undefined ? undefined : constant(node, context, 2),
  };
}

const links = (operands: readonly ValueId[], kind: 'add' | 'multiply' | 'gate'): readonly ChainLink[] =>
  operands.map((operand) => ({ kind, operands: [operand] }));

/** y = (x − mean)·gamma/√(variance + eps) + beta as x·scale + shift, worked out in f64. */
function affine(node: Node<'batchNorm'>, context: LowerContext): ChainLink {
  if (node.inputs.slice(1).some((operand) => !context.constants.has(operand)))
    return {
      kind: 'norm',
      operands: [input(node, 1), input(node, 2), input(node, 3), input(node, 4)],
      eps: node.attrs.eps,
    };
  const [gamma, beta, mean, variance] = [1, 2, 3, 4].map((i) => constant(node, context, i).data);
  const channels = gamma?.length ?? 0;
  const [scale, shift] = [new Float32Array(channels), new Float32Array(channels)];
  for (let c = 0; c < channels; c++) {
    const factor = (gamma?.[c] ?? 0) / Math.sqrt((variance?.[c] ?? 0) + node.attrs.eps);
    scale[c] = factor;
    shift[c] = (beta?.[c] ?? 0) - (mean?.[c] ?? 0) * factor;
  }
  return { kind: 'affine', scale, shift };
}

const lowerTable: LowerTable = {
  conv2d: (node, context) => ({
    kind: 'convolution',
    source: input(node),
    input: shapeOf(node, context),
    geometry: node.attrs.geometry,
    weights: convWeights(node, context, shapeOf(node, context, 1)),
  }),
  linear: (node, context) => {
    const [rows = 1, features = 1] = shapeOf(node, context);
    return {
      kind: 'convolution',
      source: input(node),
      input: [1, 1, rows, features],
      geometry: pointGeometry,
      weights: convWeights(node, context, [...shapeOf(node, context, 1), 1, 1]),
    };
  },
  batchNorm: (node, context) => ({
    kind: 'chain',
    views: [{ source: input(node), links: [affine(node, context)] }],
  }),
  sum: (node) =>
    node.inputs.length === 1
      ? { kind: 'alias', source: input(node) }
      : {
          kind: 'chain',
          views: node.inputs.map((source, i) => ({
            source,
            links: links(node.inputs.toSpliced(i, 1), 'add'),
          })),
        },
  multiply: (node, context) => {
    const [x, y] = [input(node), input(node, 1)];
    const whole = sameShape(shapeOf(node, context), shapeOf(node, context, 1));
    const views = [{ source: x, links: links([y], whole ? 'multiply' : 'gate') }];
    if (whole) views.push({ source: y, links: links([x], 'multiply') });
    return { kind: 'chain', views };
  },
  activation: (node) => ({
    kind: 'chain',
    views: [{ source: input(node), links: [{ kind: 'activation', fn: node.attrs.fn }] }],
  }),
  flatten: (node) => ({ kind: 'alias', source: input(node) }),
  globalAveragePool: (node, context) =>
    whole(node, (target) => planGlobalAveragePool(target, shapeOf(node, context))),
  pool2d: (node, context) =>
    whole(node, (target) => planPool2d(target, { input: shapeOf(node, context), ...node.attrs })),
  softmax: (node, context) => whole(node, (target) => planSoftmax(target, shapeOf(node, context))),
  resizeBilinear: (node, context) =>
    whole(node, (target) => planResizeBilinear(target, { input: shapeOf(node, context), ...node.attrs })),
  concat: (node, context) =>
    whole(node, (target) =>
      planConcat(
        target,
        node.inputs.map((_, i) => shapeOf(node, context, i)),
      ),
    ),
};

/** Looks a node's row up by kind. @throws EngineError where an operand must be a parameter and is not */
export function lowerNode(node: Node, context: LowerContext): Lowered {
  if (isNetNode(node)) return lowerNet(node, context);
  if (context.training) return context.training(node, context);
  throw new EngineError(
    `${node.kind} "${node.name}": this engine only runs nets; training needs the training engine of the platform.`,
    { node: node.name },
  );
}

function lowerNet<K extends NetOpKind>(node: Node<K>, context: LowerContext): Lowered {
  const rule: LowerRule<K> = lowerTable[node.kind as K];
  return rule(node, context);
}
