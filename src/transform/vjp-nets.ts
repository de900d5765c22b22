import { isOutputActivation } from '../graph/activations.ts';
import type { NetOpKind } from '../graph/graph.ts';
import { sameShape } from '../tensor/tensor.ts';
import { cotangent, gradient, inputOf, inputShape, refuse, type VjpRules } from './vjp-rule.ts';

/**
 * Cotangents of the ops of nets. What a weight needs comes before what the input needs, so that the input's memory is
 * free as early as it can be.
 */
export const netVjps: VjpRules<NetOpKind> = {
  conv2d: (node, context) => {
    const [x, weight, dy] = [inputOf(node, 0), inputOf(node, 1), cotangent(node, context)];
    const { geometry } = node.attrs;
    const [, height = 0, width = 0] = inputShape(node, context);
    const bias = gradient(node, context, 2, { what: 'bias', kind: 'channelSum', attrs: {}, of: [dy] });
    const dweight = gradient(node, context, 1, {
      what: 'weight',
      kind: 'conv2dWeightGrad',
      attrs: { geometry },
      of: [x, dy],
    });
    const dx = gradient(node, context, 0, {
      what: 'input',
      kind: 'conv2dInputGrad',
      attrs: { geometry, height, width },
      of: [dy, weight],
    });
    return [dx, dweight, bias];
  },
  batchNorm: (node, context) => {
    const dy = cotangent(node, context);
    const [x, gamma, mean, variance] = [0, 1, 3, 4].map((i) => inputOf(node, i));
    const fixed = refuse(node, context, [3, 4], 'statistics');
    const [dbeta, dx, dgamma] = context.b.results(
      'normSumGrad',
      `${node.name}.grad`,
      { eps: node.attrs.eps, fn: null, statistics: 'fixed' },
      [dy, x, gamma, mean, variance].flatMap((id) => id ?? []),
    );
    return [dx, dgamma, dbeta, ...fixed];
  },
  sum: (node, context) => node.inputs.map(() => cotangent(node, context)),
  multiply: (node, context) => {
    const [x, y, dy] = [inputOf(node, 0), inputOf(node, 1), cotangent(node, context)];
    const whole = sameShape(inputShape(node, context, 0), inputShape(node, context, 1));
    const kind = whole ? 'multiply' : 'spatialDot';
    return [
      gradient(node, context, 0, { what: 'x', kind: 'multiply', attrs: {}, of: [dy, y] }),
      gradient(node, context, 1, { what: 'y', kind, attrs: {}, of: [dy, x] }),
    ];
  },
  activation: (node, context) => [
    context.b.node('activationGrad', `${node.name}.grad`, node.attrs, [
      cotangent(node, context),
      // The result where that is enough: then what went in need not be kept, nor even be written.
      ...(isOutputActivation(node.attrs.fn) ? node.outputs : node.inputs),
    ]),
  ],
  globalAveragePool: (node, context) => {
    const [, height = 0, width = 0] = inputShape(node, context);
    const dy = cotangent(node, context);
    return [context.b.node('globalAveragePoolGrad', `${node.name}.grad`, { height, width }, [dy])];
  },
  pool2d: (node, context) => [
    context.b.node('pool2dGrad', `${node.name}.grad`, node.attrs, [
      cotangent(node, context),
      inputOf(node, 0),
    ]),
  ],
  flatten: (node, context) => {
    const shape = inputShape(node, context);
    return [context.b.node('reshape', `${node.name}.grad`, { shape }, [cotangent(node, context)])];
  },
  linear: (node, context) => {
    const [x, weight, dy] = [inputOf(node, 0), inputOf(node, 1), cotangent(node, context)];
    const bias = gradient(node, context, 2, { what: 'bias', kind: 'channelSum', attrs: {}, of: [dy] });
    const dweight = gradient(node, context, 1, {
      what: 'weight',
      kind: 'matmul',
      attrs: { transposeA: true, transposeB: false },
      of: [dy, x],
    });
    const dx = gradient(node, context, 0, {
      what: 'input',
      kind: 'matmul',
      attrs: { transposeA: false, transposeB: false },
      of: [dy, weight],
    });
    return [dx, dweight, bias];
  },
  softmax: (node, context) => [
    context.b.node('softmaxGrad', `${node.name}.grad`, {}, [
      cotangent(node, context),
      ...node.outputs.slice(0, 1),
    ]),
  ],
  resizeBilinear: (node, context) => {
    const [, height = 0, width = 0] = inputShape(node, context);
    const { alignCorners } = node.attrs;
    const dy = cotangent(node, context);
    const attrs = { height, width, alignCorners };
    return [context.b.node('resizeBilinearGrad', `${node.name}.grad`, attrs, [dy])];
  },
  concat: (node, context) => {
    const dy = cotangent(node, context);
    let start = 0;
    return node.inputs.map((_, i) => {
      const count = inputShape(node, context, i).at(-1) ?? 0;
      const attrs = { start, count };
      start += count;
      return gradient(node, context, i, { what: `${i}`, kind: 'sliceChannels', attrs, of: [dy] });
    });
  },
};
