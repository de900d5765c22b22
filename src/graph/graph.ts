import type { Brand } from '../tensor/brand.ts';
import type { Shape } from '../tensor/tensor.ts';
import type { NetOpAttrs, NoAttrs, OpAttrs } from './ops/op-attrs.ts';

export type { NoAttrs, OpAttrs };

export type OpKind = keyof OpAttrs;
/** The ops of nets, which any engine runs and files can hold; the others belong to training. */
export type NetOpKind = keyof NetOpAttrs;
export type ValueId = Brand<number, 'ValueId'>;

/** One step of a graph. `Node` alone is the union over all kinds, so that `kind` narrows `attrs`. */
export type Node<K extends OpKind = OpKind> = {
  readonly [P in K]: {
    readonly kind: P;
    /** Unique dotted path, e.g. `stages.0.1.conv.0.conv`. */
    readonly name: string;
    readonly attrs: OpAttrs[P];
    readonly inputs: readonly ValueId[];
    readonly outputs: readonly ValueId[];
  };
}[K];

export interface Value {
  readonly name: string;
  readonly shape: Shape;
}

/** What a parameter is to training: who is initialised how, who decays, who is learned at all. */
export type ParameterRole = 'weight' | 'bias' | 'gamma' | 'beta' | 'mean' | 'variance' | 'state';

export interface Parameter {
  readonly value: ValueId;
  readonly role: ParameterRole;
}

export interface Graph {
  readonly name: string;
  /** Indexed by ValueId; a parameter's value name is its name among the weights. */
  readonly values: readonly Value[];
  readonly inputs: readonly ValueId[];
  readonly parameters: readonly Parameter[];
  /** In running order. */
  readonly nodes: readonly Node[];
  readonly outputs: readonly { readonly name: string; readonly value: ValueId }[];
  /** After a run the parameter holds this value; during it, every node reads what it held before. */
  readonly updates: readonly { readonly parameter: ValueId; readonly value: ValueId }[];
  /** Where a run may end early; see `Gate`. */
  readonly gate?: Gate | undefined;
}

/**
 * With 0 in the input `open` [1] a run ends before the node at index `at`: of the updates only those to values of nodes
 * before it take effect. Outputs are computed before it.
 */
export interface Gate {
  readonly at: number;
  readonly open: ValueId;
}

/** A graph that `checkGraph` has found whole. Engines take nothing else. */
export type CheckedGraph = Brand<Graph, 'CheckedGraph'>;

const unlearned: readonly ParameterRole[] = ['mean', 'variance', 'state'];

/** Running statistics, and what optimizers remember (`state`), are not learned. */
export function isLearned(role: ParameterRole): boolean {
  return !unlearned.includes(role);
}

export function valueAt(graph: Graph, id: ValueId): Value {
  return graph.values[id] ?? { name: `#${id} (undefined)`, shape: [] };
}
