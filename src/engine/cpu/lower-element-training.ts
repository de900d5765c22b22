import { elementCount } from '../../tensor/tensor.ts';
import { input } from './lowered.ts';
import type { TrainingLowerRules } from './training-rules.ts';

/** What becomes part of a chain, or nothing at all. */
export const elementTrainingRules: TrainingLowerRules<'constant' | 'reshape' | 'scale' | 'activationGrad'> = {
  constant: ({ attrs: { shape, value } }) => ({
    kind: 'known',
    tensor: { shape, data: new Float32Array(elementCount(shape)).fill(value) },
  }),
  reshape: (node) => ({ kind: 'alias', source: input(node) }),
  scale: (node) => ({
    kind: 'chain',
    views: [{ source: input(node), links: [{ kind: 'scale', factor: node.attrs.factor }] }],
  }),
  activationGrad: (node) => ({
    kind: 'chain',
    views: [
      {
        source: input(node),
        links: [{ kind: 'derivative', fn: node.attrs.fn, operands: [input(node, 1)] }],
      },
    ],
  }),
};
