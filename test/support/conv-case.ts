import type { ActivationName } from '../../src/graph/activations.ts';
import { convGeometry, type GeometryOptions } from '../../src/graph/geometry.ts';
import type { ConvTask } from '../../src/kernel/convolution/convolution-row.ts';
import { elementCount, type Shape } from '../../src/tensor/tensor.ts';

/** A convolution to check, with its epilogue; it has a bias unless that is false. */
export interface ConvCase {
  readonly input: Shape;
  readonly outChannels: number;
  readonly geometry: GeometryOptions;
  readonly activation?: ActivationName;
  readonly residual?: boolean;
  readonly bias?: boolean;
}

/** @param draw numbers of about `scale`, for the weights and then the bias */
export function convCaseTask(
  { input, outChannels, ...rest }: ConvCase,
  draw: (length: number, scale: number, what: 'weight' | 'bias') => Float32Array<ArrayBuffer>,
): ConvTask {
  const geometry = convGeometry(rest.geometry);
  const shape = [outChannels, (input[3] ?? 0) / geometry.groups, ...geometry.kernel];
  const data = draw(elementCount(shape), 1 / Math.sqrt(elementCount(shape.slice(1))), 'weight');
  const bias = { shape: [outChannels], data: draw(outChannels, 1, 'bias') };
  return {
    input,
    geometry,
    weight: { shape, data },
    bias: rest.bias === false ? undefined : bias,
    activation: rest.activation ?? null,
    residual: rest.residual ?? false,
  };
}
