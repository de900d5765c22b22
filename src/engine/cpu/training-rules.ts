import type { Node } from '../../graph/graph.ts';
import type { TrainingOpAttrs } from '../../graph/ops/op-attrs.ts';
import type { LowerContext, Lowered } from './lowered.ts';

export type TrainingOpKind = keyof TrainingOpAttrs;
/** What a node of training is to this engine. */
export type TrainingLowerRule<K extends TrainingOpKind> = (node: Node<K>, context: LowerContext) => Lowered;
/** What families of rules are spread into the table from. */
export type TrainingLowerRules<K extends TrainingOpKind = TrainingOpKind> = {
  readonly [P in K]: TrainingLowerRule<P>;
};
