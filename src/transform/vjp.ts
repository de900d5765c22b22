import { GraphError } from '../errors.ts';
import type { Node, OpKind, ValueId } from '../graph/graph.ts';
import { netVjps } from './vjp-nets.ts';
import type { VjpContext, VjpRule, VjpRules } from './vjp-rule.ts';
import { trainingVjps, unsupported } from './vjp-training.ts';

type Differentiable = Exclude<OpKind, keyof typeof unsupported>;

const rules: VjpRules<Differentiable> = { ...netVjps, ...trainingVjps };

function isUnsupported(kind: OpKind): kind is keyof typeof unsupported {
  return Object.hasOwn(unsupported, kind);
}

function isDifferentiable(node: Node): node is Node<Differentiable> {
  return !isUnsupported(node.kind);
}

/**
 * Vector-Jacobian product: appends the nodes that turn cotangents of a node's outputs into those of its inputs.
 * @throws GraphError where the op has no gradient
 */
export function vjp(node: Node, context: VjpContext): readonly (ValueId | undefined)[] {
  if (isDifferentiable(node)) return apply(node, context);
  const reason = isUnsupported(node.kind) ? unsupported[node.kind] : 'its op is unknown';
  throw new GraphError(`${node.kind} "${node.name}": cannot be differentiated: ${reason}.`, {
    node: node.name,
  });
}

function apply<K extends Differentiable>(
  node: Node<K>,
  context: VjpContext,
): readonly (ValueId | undefined)[] {
  const rule: VjpRule<K> = rules[node.kind as K];
  return rule(node, context);
}
