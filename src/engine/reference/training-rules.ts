import type { Node } from '../../graph/graph.ts';
import type { TrainingOpAttrs } from '../../graph/ops/op-attrs.ts';
import type { Tensor } from '../../tensor/tensor.ts';

export type TrainingOpKind = keyof TrainingOpAttrs;
/** Computes a node of training: reads `x`, overwrites every tensor of `y`. Arithmetic is f64 throughout. */
export type TrainingRule<K extends TrainingOpKind> = (
  node: Node<K>,
  x: readonly Tensor[],
  y: readonly Tensor[],
) => void;
/** What families of rules are spread into the table from. */
export type TrainingRules<K extends TrainingOpKind = TrainingOpKind> = { readonly [P in K]: TrainingRule<P> };
