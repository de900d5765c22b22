import type { ActivationName } from './activations.ts';
import type { GraphBuilder } from './builder.ts';
import type { ConvGeometry } from './geometry.ts';
import type { ValueId } from './graph.ts';

/** Ops together with the parameters they own, named `<name>.weight`, `<name>.bias`, `<name>.gamma`, … */

/** PyTorch's default, which every public MobileOne uses. */
export const defaultEps = 1e-5;

export function convLayer(
  b: GraphBuilder,
  name: string,
  x: ValueId,
  outChannels: number,
  geometry: ConvGeometry,
  options: { readonly bias: boolean; readonly parameters?: string } = { bias: false },
): ValueId {
  const prefix = options.parameters ?? name;
  const inChannels = b.shape(x)[3] ?? 0;
  const weightShape = [outChannels, Math.floor(inChannels / geometry.groups), ...geometry.kernel];
  const inputs = [x, b.parameter(`${prefix}.weight`, weightShape, 'weight')];
  if (options.bias) inputs.push(b.parameter(`${prefix}.bias`, [outChannels], 'bias'));
  return b.node('conv2d', name, { geometry }, inputs);
}

export function batchNormLayer(b: GraphBuilder, name: string, x: ValueId, eps: number = defaultEps): ValueId {
  const channels = b.shape(x).at(-1) ?? 0;
  const roles = ['gamma', 'beta', 'mean', 'variance'] as const;
  const vectors = roles.map((role) => b.parameter(`${name}.${role}`, [channels], role));
  return b.node('batchNorm', name, { eps }, [x, ...vectors]);
}

export function linearLayer(b: GraphBuilder, name: string, x: ValueId, outFeatures: number): ValueId {
  const inFeatures = b.shape(x)[1] ?? 0;
  const weight = b.parameter(`${name}.weight`, [outFeatures, inFeatures], 'weight');
  const bias = b.parameter(`${name}.bias`, [outFeatures], 'bias');
  return b.node('linear', name, {}, [x, weight, bias]);
}

export function activationLayer(b: GraphBuilder, name: string, x: ValueId, fn: ActivationName): ValueId {
  return b.node('activation', name, { fn }, [x]);
}
