import { ShapeError } from '../../errors.ts';
import type { ActivationName } from '../../graph/activations.ts';
import { type ConvGeometry, formatGeometry, windowOutputSize } from '../../graph/geometry.ts';
import { formatShape, type Shape } from '../../tensor/tensor.ts';
import type { KernelRow } from '../plan/kernel-row.ts';
import type { BufferPlace } from '../plan/plan.ts';
import { type WindowAxis, windowAxis } from '../plan/window-blocks.ts';
import type { RoundedGemm } from '../product/gemm-task.ts';

/**
 * A gradient of a convolution, by its input or by its weight.
 *
 *     by the input     input0 dy [N,H',W',O], input1 weight [O,C/groups,kH,kW]   → output dx [N,H,W,C]
 *     by the weight    input0 x [N,H,W,C],    input1 dy [N,H',W',O]              → output dweight
 */
export interface ConvGradientTask {
  /** [N, H, W, C] of the convolution. */
  readonly input: Shape;
  readonly outChannels: number;
  readonly geometry: ConvGeometry;
  /** How factors of products are rounded where that pays; absent for f32. */
  readonly rounded?: RoundedGradients | undefined;
}

/** A convolution's part in the gradient of its input: its weight has the geometry's kernel, or is 1×1 at its centre. */
export type InputGradTerm = 'window' | 'centre';

/**
 * The gradient of an input that several convolutions read: the sum of their gradients, and of another tensor, then
 * times an activation's derivative. Buffers: dy and weight of each term, then, if there are any, the residual and
 * what the derivative is taken of (see `emitActivationGrad`), of dx's shape.
 */
export interface InputGradTask extends ConvGradientTask {
  /** Default: one, of the geometry's kernel. */
  readonly terms?: readonly InputGradTerm[];
  readonly residual?: boolean;
  readonly derivative?: ActivationName;
}

export function termsOf({ terms = ['window'] }: InputGradTask): readonly InputGradTerm[] {
  return terms;
}

export function residualOf(task: InputGradTask): BufferPlace | undefined {
  return task.residual ? { buffer: `input${2 * termsOf(task).length}`, offset: 0 } : undefined;
}

export function derivativeOf(task: InputGradTask): Derivative | undefined {
  if (task.derivative === undefined) return undefined;
  const before = 2 * termsOf(task).length + (task.residual ? 1 : 0);
  return { fn: task.derivative, of: { buffer: `input${before}`, offset: 0 } };
}

/** Results are multiplied by fn′ of a tensor. */
export interface Derivative {
  readonly fn: ActivationName;
  readonly of: BufferPlace;
}

export type InputGradRow = KernelRow<InputGradTask>;
export type WeightGradRow = KernelRow<ConvGradientTask>;

export interface RoundedGradients extends RoundedGemm {
  readonly inputGrad: InputGradRow;
}

export interface ConvGradientSizes {
  readonly images: number;
  readonly height: number;
  readonly width: number;
  readonly inChannels: number;
  readonly outHeight: number;
  readonly outWidth: number;
  readonly outChannels: number;
  readonly groups: number;
  /** Channels a group. */
  readonly groupIn: number;
  readonly groupOut: number;
  /** Taps of the window. */
  readonly taps: number;
  /** How the window moves along rows and columns. */
  readonly vertical: WindowAxis;
  readonly horizontal: WindowAxis;
  readonly macs: number;
}

/** @throws ShapeError when input, channels and geometry do not fit together */
export function convGradientSizes({ input, outChannels, geometry }: ConvGradientTask): ConvGradientSizes {
  const [images = 0, height = 0, width = 0, inChannels = 0] = input;
  const [outHeight, outWidth] = windowOutputSize(geometry, height, width);
  const { groups } = geometry;
  const [groupIn, groupOut] = [inChannels / groups, outChannels / groups];
  const sizes = [...input, outChannels, outHeight, outWidth, groupIn, groupOut];
  if (input.length !== 4 || !sizes.every((size) => Number.isSafeInteger(size) && size > 0))
    throw new ShapeError(
      `gradient of a convolution: input ${formatShape(input)}, ${outChannels} channels out and geometry ${formatGeometry(geometry)} do not fit together.`,
      { input, outChannels, geometry },
    );
  const taps = geometry.kernel[0] * geometry.kernel[1];
  return {
    images,
    height,
    width,
    inChannels,
    outHeight,
    outWidth,
    outChannels,
    groups,
    groupIn,
    groupOut,
    taps,
    vertical: windowAxis(geometry, 0, height, outHeight),
    horizontal: windowAxis(geometry, 1, width, outWidth),
    macs: images * outHeight * outWidth * outChannels * groupIn * taps,
  };
}

export function isDepthwiseGradient(task: ConvGradientTask): boolean {
  const { groups, inChannels, outChannels } = convGradientSizes(task);
  return groups === inChannels && outChannels === inChannels;
}
