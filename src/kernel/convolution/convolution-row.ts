import { ShapeError } from '../../errors.ts';
import type { ActivationName } from '../../graph/activations.ts';
import { type ConvGeometry, formatGeometry, windowOutputSize } from '../../graph/geometry.ts';
import { elementCount, formatShape, type Shape, type Tensor } from '../../tensor/tensor.ts';
import type { KernelRow } from '../plan/kernel-row.ts';
import type { BufferName } from '../plan/plan.ts';

/** A convolution with its epilogue: output = activation(input ∗ weight + bias + residual). */
export interface ConvShape {
  /** [N, H, W, C], the layout of buffer `input0`. */
  readonly input: Shape;
  readonly geometry: ConvGeometry;
  /** [O, C/groups, kH, kW] */
  readonly weight: { readonly shape: Shape };
  /** [O]; absent means 0. */
  readonly bias?: { readonly shape: Shape } | undefined;
  readonly activation: ActivationName | null;
  /** True: buffer `input1`, of the output's shape, is added before the activation. */
  readonly residual: boolean;
}

/** One whose weights are known: they are packed once. */
export interface ConvTask extends ConvShape {
  readonly weight: Tensor;
  readonly bias?: Tensor | undefined;
}

/** A tensor that only a run knows. */
export interface BufferOperand {
  readonly shape: Shape;
  readonly buffer: BufferName;
}

/** One whose weights come with each run, which packs them into scratch memory first. */
export interface ComputedConvTask extends ConvShape {
  readonly weight: BufferOperand;
  readonly bias?: BufferOperand | undefined;
}

export type AnyConvTask = ConvTask | ComputedConvTask;

/** Whether a convolution is one matrix product, by weights that are known. */
export function isDense(task: AnyConvTask): task is ConvTask {
  return task.geometry.groups === 1 && !isComputed(task);
}

export function isComputed(task: AnyConvTask): task is ComputedConvTask {
  return 'buffer' in task.weight;
}

export type ConvRow = KernelRow<AnyConvTask, ConvShape>;

export interface ConvSizes {
  readonly images: number;
  readonly height: number;
  readonly width: number;
  readonly inChannels: number;
  readonly outHeight: number;
  readonly outWidth: number;
  readonly outChannels: number;
  /** Input channels a group: the weight's second size. */
  readonly groupChannels: number;
  readonly macs: number;
}

const isSize = (size: number): boolean => Number.isSafeInteger(size) && size > 0;

/** @throws ShapeError when input, weight, bias and geometry do not fit together */
export function convSizes(task: ConvShape): ConvSizes {
  const { input, geometry, weight, bias } = task;
  const [images = 0, height = 0, width = 0, inChannels = 0] = input;
  const [outChannels = 0, groupChannels = 0, kernelHeight = 0, kernelWidth = 0] = weight.shape;
  const [outHeight, outWidth] = windowOutputSize(geometry, height, width);
  const fits =
    input.length === 4 &&
    weight.shape.length === 4 &&
    input.every(isSize) &&
    weight.shape.every(isSize) &&
    isSize(outHeight) &&
    isSize(outWidth) &&
    kernelHeight === geometry.kernel[0] &&
    kernelWidth === geometry.kernel[1] &&
    groupChannels * geometry.groups === inChannels &&
    outChannels % geometry.groups === 0 &&
    (bias === undefined || elementCount(bias.shape) === outChannels);
  if (!fits) {
    throw new ShapeError(
      `convolution: input ${formatShape(input)}, weight ${formatShape(weight.shape)}, bias ${bias ? formatShape(bias.shape) : 'none'} and geometry ${formatGeometry(geometry)} do not fit together.`,
      { input, weight: weight.shape, geometry },
    );
  }
  const macs = images * outHeight * outWidth * outChannels * groupChannels * kernelHeight * kernelWidth;
  return { images, height, width, inChannels, outHeight, outWidth, outChannels, groupChannels, macs };
}
