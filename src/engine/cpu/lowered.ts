import type { VectorTarget } from '../../assembler/vector-assembler.ts';
import { EngineError } from '../../errors.ts';
import type { ActivationName } from '../../graph/activations.ts';
import type { ConvGeometry } from '../../graph/geometry.ts';
import { type CheckedGraph, type NetOpKind, type Node, type ValueId, valueAt } from '../../graph/graph.ts';
import type { InputGradTask } from '../../kernel/convolution/conv-gradients.ts';
import type { RoundedProducts } from '../../kernel/convolution/rounded-products.ts';
import type { ElementwiseLink } from '../../kernel/elementwise/elementwise.ts';
import type { TaskPlan } from '../../kernel/plan/plan.ts';
import type { Shape, Tensor } from '../../tensor/tensor.ts';

/** A link of an element-wise chain whose operand is still a value of the graph. */
export type ChainLink =
  | { readonly kind: 'add' | 'multiply' | 'gate'; readonly operands: readonly [ValueId] }
  | { readonly kind: 'derivative'; readonly fn: ActivationName; readonly operands: readonly [ValueId] }
  | {
      readonly kind: 'norm';
      readonly operands: readonly [gamma: ValueId, beta: ValueId, mean: ValueId, variance: ValueId];
      readonly eps: number;
    }
  | Extract<ElementwiseLink, { kind: 'affine' | 'activation' | 'scale' }>;

/** One way to see an element-wise node: a function of `source`, everything else being operands. */
export interface ChainView {
  readonly source: ValueId;
  readonly links: readonly ChainLink[];
}

/** OIHW, and biases: known when compiling, or values that each run computes. */
export type ConvWeights =
  | { readonly kind: 'constant'; readonly weight: Tensor; readonly bias: Tensor | undefined }
  | {
      readonly kind: 'computed';
      readonly shape: Shape;
      readonly weight: ValueId;
      readonly bias: ValueId | undefined;
    };

/** What a node is to this engine. */
export type Lowered =
  | { readonly kind: 'alias'; readonly source: ValueId }
  /** The same numbers in every run. */
  | { readonly kind: 'known'; readonly tensor: Tensor }
  | { readonly kind: 'chain'; readonly views: readonly ChainView[] }
  | {
      readonly kind: 'convolution';
      readonly source: ValueId;
      readonly input: Shape;
      readonly geometry: ConvGeometry;
      readonly weights: ConvWeights;
    }
  | {
      readonly kind: 'whole';
      readonly sources: readonly ValueId[];
      readonly plan: (target: VectorTarget) => TaskPlan;
      /** For each output, which sources it may overwrite, where that is not what the op table says. */
      readonly inPlace?: readonly (readonly number[])[];
      /** What it computes, where that may be joined with others of its kind: see join-gradients.ts. */
      readonly inputGrad?: InputGradTask;
    };

/** The values that a link reads beside the chain's own. */
export function operandsOf(link: ChainLink): readonly ValueId[] {
  return 'operands' in link ? link.operands : [];
}

/** Lowers nodes that belong to training; an engine that only runs nets has none, which keeps pages small. */
export type LowerTraining = (node: Exclude<Node, Node<NetOpKind>>, context: LowerContext) => Lowered;

export interface LowerContext {
  readonly training: LowerTraining | undefined;
  /** How factors of products of what a run computes are rounded; absent for f32. */
  readonly rounded?: RoundedProducts | undefined;
  readonly graph: CheckedGraph;
  /** Parameters that no run changes, and results that never change: they may be packed and folded. */
  readonly constants: ReadonlyMap<ValueId, Tensor>;
}

export function input(node: Node, index = 0): ValueId {
  const id = node.inputs[index];
  if (id === undefined) throw new EngineError(`${node.kind} "${node.name}": has no input ${index}.`);
  return id;
}

export function shapeOf(node: Node, { graph }: LowerContext, index = 0): Shape {
  return valueAt(graph, input(node, index)).shape;
}

/** Operands that are packed or folded at compile time must be known then. */
export function constant(node: Node, { graph, constants }: LowerContext, index: number): Tensor {
  const id = input(node, index);
  const found = constants.get(id);
  if (found === undefined)
    throw new EngineError(
      `${node.kind} "${node.name}": engine cpu packs operand "${valueAt(graph, id).name}" when compiling, so it must be a parameter that no run changes, not an input or a result.`,
      { node: node.name, operand: valueAt(graph, id).name },
    );
  return found;
}

/**
 * A node as a task of its own: buffers `input0`, `input1`, … and `output`, `output1`, … are its values in order.
 * The results of an op that the table calls elementwise and inPlaceSafe may lie where an input of their shape lies,
 * so at any element its plan reads all inputs before it writes any output, and reads them only once.
 */
export function whole(
  node: Node,
  plan: (target: VectorTarget) => TaskPlan,
  inPlace?: readonly (readonly number[])[],
): Lowered {
  return { kind: 'whole', sources: node.inputs, plan, ...(inPlace ? { inPlace } : {}) };
}
