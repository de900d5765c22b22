import { GraphError } from '../errors.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { Node, OpAttrs, OpKind, ValueId } from '../graph/graph.ts';
import type { Shape } from '../tensor/tensor.ts';

/** What a rule may use to hand the cotangents of a node's outputs on to its inputs. */
export interface VjpContext {
  readonly b: GraphBuilder;
  /** One per output; undefined where the loss does not depend on it. At least one is there. */
  readonly dy: readonly (ValueId | undefined)[];
  /** Whether the cotangent of an input will be used. */
  readonly wants: (input: number) => boolean;
}

/** The cotangents of a node's inputs, in order; undefined, or missing at the end, where none is wanted. */
export type VjpRule<K extends OpKind> = (
  node: Node<K>,
  context: VjpContext,
) => readonly (ValueId | undefined)[];
export type VjpRules<K extends OpKind> = { readonly [P in K]: VjpRule<P> };

export function inputOf(node: Node, index: number): ValueId {
  const id = node.inputs[index];
  if (id === undefined) throw new GraphError(`${node.kind} "${node.name}": has no input ${index}.`);
  return id;
}

export function inputShape(node: Node, { b }: VjpContext, index = 0): Shape {
  return b.shape(inputOf(node, index));
}

/**
 * The cotangents of the first `count` outputs, zeros for one on which the loss does not depend.
 * @throws GraphError where the loss depends on another output
 */
export function cotangents(node: Node, { b, dy }: VjpContext, count: number): readonly ValueId[] {
  if (dy.slice(count).some((each) => each !== undefined))
    throw new GraphError(
      `${node.kind} "${node.name}": only its first ${count} output${count > 1 ? 's' : ''} can be differentiated, but the loss depends on another.`,
      { node: node.name },
    );
  return node.outputs.slice(0, count).map((output, i) => {
    const zeros = { shape: b.shape(output), value: 0 };
    return dy[i] ?? b.node('constant', `${node.name}.grad.zeros${i}`, zeros, []);
  });
}

/** The cotangent of the first output. @throws GraphError where the loss depends on another */
export function cotangent(node: Node, context: VjpContext): ValueId {
  const [first] = cotangents(node, context, 1);
  if (first === undefined) throw new GraphError(`${node.kind} "${node.name}": has no output.`);
  return first;
}

/** @throws GraphError when the cotangent of one of these inputs is wanted */
export function refuse(
  node: Node,
  { wants }: VjpContext,
  inputs: readonly number[],
  what: string,
): readonly undefined[] {
  if (inputs.some(wants))
    throw new GraphError(
      `${node.kind} "${node.name}": has no gradient by its ${what}; leave them out of what is wanted.`,
      { node: node.name },
    );
  return inputs.map(() => undefined);
}

/** A node `<node>.grad.<what>`, or none where its result is not wanted. */
export function gradient<K extends OpKind>(
  node: Node,
  { b, wants }: VjpContext,
  input: number,
  made: {
    readonly what: string;
    readonly kind: K;
    readonly attrs: OpAttrs[K];
    readonly of: readonly ValueId[];
  },
): ValueId | undefined {
  return wants(input) ? b.node(made.kind, `${node.name}.grad.${made.what}`, made.attrs, made.of) : undefined;
}
