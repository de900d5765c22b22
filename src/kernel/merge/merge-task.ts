import { type ConvGeometry, centreTap } from '../../graph/geometry.ts';
import type { Node } from '../../graph/graph.ts';
import type { Shape } from '../../tensor/tensor.ts';

/** Sizes of a block whose branches are merged. */
export interface MergeTask {
  readonly groups: number;
  readonly outChannels: number;
  /** Input channels of a group. */
  readonly inner: number;
  readonly taps: number;
  /** P = inner·taps */
  readonly length: number;
  /** The tap at which 1×1 weights and the skip read. */
  readonly centre: number;
  /** For each convolution, whether its weight is 1×1 beside larger ones. */
  readonly points: readonly boolean[];
  readonly skip: boolean;
  readonly eps: number;
}

/** @param weights shapes of the convolutions' weights */
export function mergeTask(
  { geometry, eps, skip }: { readonly geometry: ConvGeometry; readonly eps: number; readonly skip: boolean },
  weights: readonly Shape[],
): MergeTask {
  const [outChannels = 1, inner = 1] = weights[0] ?? [];
  const taps = geometry.kernel[0] * geometry.kernel[1];
  return {
    groups: geometry.groups,
    outChannels,
    inner,
    taps,
    length: inner * taps,
    centre: centreTap(geometry) ?? 0,
    points: weights.map(([, , height = 1, width = 1]) => height * width < taps),
    skip,
    eps,
  };
}

/** How many convolutions a node's operands hold. */
export function mergedConvolutions(node: Node<'mergeBranches' | 'mergeBranchesGrad'>): number {
  const skip = node.attrs.skip ? 1 : 0;
  return node.kind === 'mergeBranches'
    ? (node.inputs.length - 2 - 2 * skip) / 3
    : (node.inputs.length - 3 - 3 * skip) / 5;
}

/** Input channels of a convolution and the skip branch are counted together: the skip is the last branch. */
export function branchCount({ points, skip }: MergeTask): number {
  return points.length + (skip ? 1 : 0);
}

/** Rows of weights, one for each output channel, that belong to one group. */
export function rowsPerGroup({ outChannels, groups }: MergeTask): number {
  return outChannels / groups;
}
