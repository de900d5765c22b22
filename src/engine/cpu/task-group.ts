import type { Node, ValueId } from '../../graph/graph.ts';
import type { AnyConvTask, ConvTask } from '../../kernel/convolution/convolution-task.ts';
import type { Shape } from '../../tensor/tensor.ts';
import { type ChainLink, type Lowered, operandsOf } from './lowered.ts';

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
  /** What comes before it in the same task: see join-strips.ts. */
  readonly strips?: Strips;
}

/** Two convolutions by known weights, strip by strip of rows; only the second reads what the first gives. */
export interface Strips {
  readonly before: Group;
  readonly source: ValueId;
  readonly first: ConvTask;
  readonly second: ConvTask;
  /** Of rows, which threads may take. */
  readonly shares: number;
}

export function convTask(
  { input, geometry, weights }: Convolution,
  links: readonly ChainLink[],
): AnyConvTask {
  const last = links.at(-1);
  const activation = last?.kind === 'activation' ? last.fn : null;
  const residual = links[0]?.kind === 'add';
  const common = { input, geometry, activation, residual };
  if (weights.kind === 'constant') return { ...common, weight: weights.weight, bias: weights.bias };
  const { shape, bias } = weights;
  const first = residual ? 2 : 1;
  return {
    ...common,
    weight: { shape, buffer: `input${first}` },
    bias: bias === undefined ? undefined : { shape: shape.slice(0, 1), buffer: `input${first + 1}` },
  };
}

/** What a convolution's task reads, in the order of its buffers. */
export function convSources(
  { source, weights }: Convolution,
  links: readonly ChainLink[],
): readonly ValueId[] {
  const computed = weights.kind === 'constant' ? [] : [weights.weight, weights.bias];
  return [source, ...links.flatMap(operandsOf), ...computed.filter((value) => value !== undefined)];
}
