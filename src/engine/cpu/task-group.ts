import type { Node, ValueId } from '../../graph/graph.ts';
import type { ConvTask } from '../../kernel/convolution-task.ts';
import type { Shape } from '../../tensor/tensor.ts';
import type { ChainLink, Lowered } from './lowered.ts';

type Convolution = Extract<Lowered, { kind: 'convolution' }>;
export type Body =
  | Convolution
  | Extract<Lowered, { kind: 'whole' }>
  | { readonly kind: 'chain'; readonly source: ValueId };

/** A task being put together: a body, and links applied to its result. */
export interface Group {
  readonly body: Body;
  readonly links: readonly ChainLink[];
  readonly nodes: readonly Node[];
  /** Shape of the result, which links keep. */
  readonly shape: Shape;
  readonly output: ValueId;
  /** Results after the first, of a node that has several. */
  readonly others: readonly ValueId[];
}

export function convTask(
  { input, geometry, weight, bias }: Convolution,
  links: readonly ChainLink[],
): ConvTask {
  const last = links.at(-1);
  return {
    input,
    geometry,
    weight,
    ...(bias ? { bias } : {}),
    activation: last?.kind === 'activation' ? last.fn : null,
    residual: links[0]?.kind === 'add',
  };
}
