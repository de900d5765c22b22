import { ShapeError } from '../errors.ts';
import type { ActivationName } from '../graph/activations.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import { type ConvGeometry, isCentred, isUnitStride, pointGeometry } from '../graph/geometry.ts';
import type { ValueId } from '../graph/graph.ts';
import { activationLayer, batchNormLayer, convLayer } from '../graph/layers.ts';

export type Form = 'train' | 'deploy';

export interface BlockOptions {
  readonly outChannels: number;
  /** Every branch and the fused convolution derive from this one value. */
  readonly geometry: ConvGeometry;
  readonly form: Form;
  /** k × (convolution + batch norm). */
  readonly branches: number;
  /** A 1×1 convolution + batch norm beside them. Default: iff the kernel is larger than 1. */
  readonly scale?: boolean;
  /** Batch norm alone. Default: iff channels match and the stride is 1. */
  readonly skip?: boolean;
  /** Channels between squeeze and excite; absent: no squeeze-excite. */
  readonly squeeze?: number;
  /** Default relu; null leaves the block linear. */
  readonly activation?: ActivationName | null;
}

/**
 * One MobileOne block, activation(SE(Σ branches)). Train form: branches end in one `sum` node named `<name>.sum`;
 * deploy form: one convolution with bias.
 * @throws ShapeError when a scale or skip branch is asked for and the geometry is not centred
 */
export function mobileOneBlock(b: GraphBuilder, name: string, x: ValueId, options: BlockOptions): ValueId {
  const linear = options.form === 'train' ? branchSum(b, name, x, options) : fusedConv(b, name, x, options);
  const gated =
    options.squeeze === undefined ? linear : squeezeExcite(b, `${name}.se`, linear, options.squeeze);
  const fn = options.activation === undefined ? 'relu' : options.activation;
  return fn === null ? gated : activationLayer(b, `${name}.${fn}`, gated, fn);
}

function fusedConv(b: GraphBuilder, name: string, x: ValueId, options: BlockOptions): ValueId {
  return convLayer(b, `${name}.fused`, x, options.outChannels, options.geometry, {
    bias: true,
    parameters: name,
  });
}

function branchSum(b: GraphBuilder, name: string, x: ValueId, options: BlockOptions): ValueId {
  const { geometry, outChannels } = options;
  const [kernelHeight, kernelWidth] = geometry.kernel;
  const scale = options.scale ?? (kernelHeight > 1 || kernelWidth > 1);
  const skip = options.skip ?? (b.shape(x)[3] === outChannels && isUnitStride(geometry));
  if ((scale || skip) && !isCentred(geometry))
    throw new ShapeError(
      `block "${name}": a scale or skip branch needs padding = dilation·(kernel−1)/2, found padding [${geometry.padding.join(',')}] for kernel ${geometry.kernel.join('×')} and dilation ${geometry.dilation.join('×')}.`,
    );
  const normed = (path: string, conv: ConvGeometry): ValueId =>
    batchNormLayer(
      b,
      `${path}.bn`,
      convLayer(b, `${path}.conv`, x, outChannels, conv, { bias: false, parameters: path }),
    );
  const branches: ValueId[] = [];
  if (skip) branches.push(batchNormLayer(b, `${name}.skip.bn`, x));
  if (scale) branches.push(normed(`${name}.scale`, pointGeometry(geometry)));
  for (let i = 0; i < options.branches; i++) branches.push(normed(`${name}.conv.${i}`, geometry));
  return b.node('sum', `${name}.sum`, {}, branches);
}

/** Global mean → 1×1 → relu → 1×1 → sigmoid → gate on every channel. */
function squeezeExcite(b: GraphBuilder, name: string, x: ValueId, squeeze: number): ValueId {
  const channels = b.shape(x)[3] ?? 0;
  const point: ConvGeometry = {
    kernel: [1, 1],
    stride: [1, 1],
    padding: [0, 0, 0, 0],
    dilation: [1, 1],
    groups: 1,
  };
  const mean = b.node('globalAveragePool', `${name}.mean`, {}, [x]);
  const inner = convLayer(b, `${name}.squeeze`, mean, squeeze, point, { bias: true });
  const outer = convLayer(
    b,
    `${name}.excite`,
    activationLayer(b, `${name}.relu`, inner, 'relu'),
    channels,
    point,
    {
      bias: true,
    },
  );
  return b.node('multiply', `${name}.gate`, {}, [x, activationLayer(b, `${name}.sigmoid`, outer, 'sigmoid')]);
}
