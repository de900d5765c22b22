import type { Brand } from '../tensor/brand.ts';
import type { Shape } from '../tensor/tensor.ts';
import type { ActivationName } from './activations.ts';
import type { ConvGeometry, WindowGeometry } from './geometry.ts';

/** The op list. Activations are NHWC; parameters keep the checkpoints' layouts (convolution OIHW, linear [out, in]). */
export interface OpAttrs {
  /** x [N,H,W,C], weight [O,C/groups,kH,kW], bias? [O] → [N,H',W',O] */
  conv2d: { readonly geometry: ConvGeometry };
  /** x [N,…,C], gamma, beta, mean, variance [C] → (x − mean)·gamma/√(variance + eps) + beta, over the last axis */
  batchNorm: { readonly eps: number };
  /** one or more equal shapes → their sum; the end of a MobileOne block's branches */
  sum: NoAttrs;
  /** x [N,H,W,C], y of the same shape or [N,1,1,C] → x·y */
  multiply: NoAttrs;
  /** any shape → the named function of every element */
  activation: { readonly fn: ActivationName };
  /** x [N,H,W,C] → [N,1,1,C] */
  globalAveragePool: NoAttrs;
  /** x [N,H,W,C] → [N,H',W',C]; max ignores padding, average divides by kH·kW (countPadding) or by the inputs read */
  pool2d: {
    readonly mode: 'max' | 'average';
    readonly window: WindowGeometry;
    readonly countPadding: boolean;
  };
  /** x [N,…] → [N, rest] */
  flatten: NoAttrs;
  /** x [N,I], weight [O,I], bias? [O] → [N,O] */
  linear: NoAttrs;
  /** softmax over the last axis */
  softmax: NoAttrs;
  /** x [N,H,W,C] → [N,height,width,C], PyTorch's two conventions for where samples lie */
  resizeBilinear: { readonly height: number; readonly width: number; readonly alignCorners: boolean };
  /** one or more [N,H,W,Ci] → [N,H,W,ΣCi] */
  concat: NoAttrs;
}

export type NoAttrs = Readonly<Record<never, never>>;
export type OpKind = keyof OpAttrs;
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
export type ParameterRole = 'weight' | 'bias' | 'gamma' | 'beta' | 'mean' | 'variance';

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
}

/** A graph that `checkGraph` has found whole. Engines take nothing else. */
export type CheckedGraph = Brand<Graph, 'CheckedGraph'>;

/** Running statistics are state, not learned. */
export function isLearned(role: ParameterRole): boolean {
  return role !== 'mean' && role !== 'variance';
}

export function valueAt(graph: Graph, id: ValueId): Value {
  return graph.values[id] ?? { name: `#${id} (undefined)`, shape: [] };
}
