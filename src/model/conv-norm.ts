import type { ActivationName } from '../graph/activations.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { ConvGeometry } from '../graph/geometry.ts';
import type { ValueId } from '../graph/graph.ts';
import { activationLayer, batchNormLayer, convLayer } from '../graph/layers.ts';
import type { Form } from './block.ts';

export interface ConvNormOptions {
  readonly outChannels: number;
  readonly geometry: ConvGeometry;
  readonly form: Form;
  /** null: none. */
  readonly activation: ActivationName | null;
  readonly eps: number;
}

/** Convolution → batch norm → activation, as heads have it; one convolution with bias in deploy form. */
export function convNorm(b: GraphBuilder, name: string, x: ValueId, options: ConvNormOptions): ValueId {
  const { outChannels, geometry, form, activation, eps } = options;
  const linear =
    form === 'deploy'
      ? convLayer(b, `${name}.fused`, x, outChannels, geometry, { bias: true, parameters: name })
      : batchNormLayer(
          b,
          `${name}.bn`,
          convLayer(b, `${name}.conv`, x, outChannels, geometry, { bias: false, parameters: name }),
          eps,
        );
  return activation === null ? linear : activationLayer(b, `${name}.${activation}`, linear, activation);
}
