import type { Shape } from '../../tensor/tensor.ts';
import type { OpKind } from '../graph.ts';
import type { OpAttrs } from './op-attrs.ts';

/** Everything shared code may know of an op. Adding an op is one row here plus a rule in each engine's table. */
export interface OpDefinition<K extends OpKind> {
  /** Input names in order; those after `required` may be left out, a name ending in `…` may repeat. */
  readonly inputs: readonly string[];
  readonly required: number;
  /** Output shapes. @throws ShapeError that says which input does not fit (without the node's name) */
  readonly shapes: (attrs: OpAttrs[K], inputs: readonly Shape[]) => readonly Shape[];
  /** Multiply-accumulates of convolutions and products; additions of a pool are counted apart. */
  readonly macs: (attrs: OpAttrs[K], inputs: readonly Shape[], output: Shape) => number;
  /** Elements a pooling op adds up, which published tables count as one FLOP each. */
  readonly pooled: (attrs: OpAttrs[K], inputs: readonly Shape[]) => number;
  /** Attributes as text, empty when there are none. */
  readonly format: (attrs: OpAttrs[K]) => string;
  /** Each output element depends on the elements at its own position (or channel) only. */
  readonly elementwise: boolean;
  /** The output may overwrite the first input when that is not needed again. */
  readonly inPlaceSafe: boolean;
}

/** One for each op named. */
export type OpDefinitions<K extends OpKind> = { readonly [P in K]: OpDefinition<P> };

const none = (): number => 0;
const blank = (): string => '';

export const plain = {
  macs: none,
  pooled: none,
  format: blank,
  elementwise: false,
  inPlaceSafe: false,
} as const;
export const pointwise = { ...plain, elementwise: true, inPlaceSafe: true } as const;
