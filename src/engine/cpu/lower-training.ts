import { EngineError } from '../../errors.ts';
import type { Node } from '../../graph/graph.ts';
import type { TrainingOpAttrs } from '../../graph/op-attrs.ts';
import type { LowerContext, Lowered } from './lowered.ts';

type TrainingOpKind = keyof TrainingOpAttrs;
type LowerRule<K extends TrainingOpKind> = (node: Node<K>, context: LowerContext) => Lowered;
type LowerTable = { readonly [K in TrainingOpKind]: LowerRule<K> };

const lowerTable: Partial<LowerTable> = {};

export function lowerTraining<K extends TrainingOpKind>(node: Node<K>, context: LowerContext): Lowered {
  const rule: LowerRule<K> | undefined = lowerTable[node.kind as K];
  if (rule === undefined) throw new EngineError(`engine cpu: ${node.kind} "${node.name}" is unknown.`);
  return rule(node, context);
}
