import type { GraphBuilder } from '../graph/builder.ts';
import { type ConvGeometry, centreTap, isUnitStride, pointGeometry } from '../graph/geometry.ts';
import { type CheckedGraph, type Node, type ValueId, valueAt } from '../graph/graph.ts';
import { type Wiring, wiringOf } from './branches.ts';
import { type MergeableBlock, paysToMerge } from './merge-cost.ts';
import { rewriteGraph } from './rewrite.ts';

export interface MergeOptions {
  /** Which blocks to merge; default: those whose step is expected to take less time so. */
  readonly choose?: 'all' | 'none' | ((block: MergeableBlock) => boolean);
}

/**
 * Exact training at the price of one branch. Where the operands of a `normSum` are convolutions of one value, and
 * perhaps that value itself, batch statistics follow from the moments of the patches they read: the block becomes
 * one convolution whose weight and bias are computed, and runs, learns and keeps running statistics as before, to
 * rounding. Blocks of another kind stay as they are.
 */
export function mergeBranches(graph: CheckedGraph, options: MergeOptions = {}): CheckedGraph {
  const choose = chooser(options);
  const wiring = wiringOf(graph);
  const merges = new Map<Node, Merge>();
  for (const node of graph.nodes) {
    const merge = node.kind === 'normSum' ? mergeOf(graph, wiring, node) : undefined;
    if (merge && choose(merge.block)) merges.set(node, merge);
  }
  return merges.size === 0 ? graph : rebuilt(graph, merges);
}

function chooser({ choose = paysToMerge }: MergeOptions): (block: MergeableBlock) => boolean {
  return typeof choose === 'function' ? choose : () => choose === 'all';
}

/** What a `normSum` becomes. */
interface Merge {
  readonly block: MergeableBlock;
  readonly input: ValueId;
  /** The convolutions that vanish, by the operand they give; the skip has none. */
  readonly convs: readonly (Node<'conv2d'> | undefined)[];
  /** Operands in the order of `mergeBranches`: the skip last. */
  readonly order: readonly number[];
}

function mergeOf(graph: CheckedGraph, wiring: Wiring, node: Node<'normSum'>): Merge | undefined {
  const operands = node.inputs.filter((_, i) => i % 3 === 0);
  const convs = operands.map((id) => ownConvolution(wiring, id));
  const input = convs.find((conv) => conv)?.inputs[0];
  const geometry = commonGeometry(convs.flatMap((conv) => conv?.attrs.geometry ?? []));
  if (input === undefined || geometry === undefined) return undefined;
  const oneRoot = operands.every((id, i) => (convs[i] ? convs[i]?.inputs[0] : id) === input);
  const skips = convs.filter((conv) => conv === undefined).length;
  if (!oneRoot || skips > 1 || (skips > 0 && !isUnitStride(geometry))) return undefined;
  const full = convs.filter((conv) => conv && sameKernel(conv.attrs.geometry, geometry)).length;
  const block: MergeableBlock = {
    name: node.name,
    geometry,
    input: valueAt(graph, input).shape,
    outChannels: valueAt(graph, operands[0] ?? input).shape[3] ?? 0,
    full,
    point: operands.length - skips - full,
    skip: skips > 0,
  };
  const indices = [...operands.keys()];
  const order = [...indices.filter((i) => convs[i]), ...indices.filter((i) => !convs[i])];
  return { block, input, convs, order };
}

/** The convolution without bias that gives a value to this one user. */
function ownConvolution(wiring: Wiring, value: ValueId): Node<'conv2d'> | undefined {
  const node = wiring.producer.get(value);
  return node?.kind === 'conv2d' && node.inputs.length === 2 && wiring.uses.get(value) === 1
    ? node
    : undefined;
}

const sameKernel = (a: ConvGeometry, b: ConvGeometry): boolean => a.kernel.join() === b.kernel.join();
const sameWindow = (a: ConvGeometry, b: ConvGeometry): boolean => JSON.stringify(a) === JSON.stringify(b);

/** The largest kernel's, if all others are the same or the 1×1 one beside it. */
function commonGeometry(geometries: readonly ConvGeometry[]): ConvGeometry | undefined {
  const size = ({ kernel }: ConvGeometry): number => kernel[0] * kernel[1];
  const [largest] = geometries.toSorted((a, b) => size(b) - size(a));
  if (largest === undefined || centreTap(largest) === undefined) return undefined;
  const point = pointGeometry(largest);
  const isPoint = (g: ConvGeometry): boolean =>
    size(g) === 1 && sameWindow({ ...g, dilation: point.dilation }, point);
  return geometries.every((g) => sameWindow(g, largest) || isPoint(g)) ? largest : undefined;
}

function rebuilt(graph: CheckedGraph, merges: ReadonlyMap<Node, Merge>): CheckedGraph {
  const absorbed = new Set<Node | undefined>([...merges.values()].flatMap(({ convs }) => convs));
  return rewriteGraph(graph, (b, now) => ({
    replace: (node) => {
      if (absorbed.has(node)) return [];
      const merge = merges.get(node);
      return merge && node.kind === 'normSum' ? emitMerge(b, node, merge, now) : undefined;
    },
  }));
}

/** @returns what stands for the outputs of the `normSum`: y, then mean and variance of each operand */
function emitMerge(
  b: GraphBuilder,
  node: Node<'normSum'>,
  { block: { geometry, skip }, input, convs, order }: Merge,
  renew: (id: ValueId) => ValueId,
): readonly ValueId[] {
  const { eps, fn } = node.attrs;
  const x = renew(input);
  const moments = b.results('patchMoments', `${node.name}.moments`, { geometry }, [x]);
  const operands = order.flatMap((i) => {
    const weight = convs[i]?.inputs[1];
    const vectors = node.inputs.slice(3 * i + 1, 3 * i + 3);
    return (weight === undefined ? vectors : [weight, ...vectors]).map(renew);
  });
  const [weight, bias, ...statistics] = b.results(
    'mergeBranches',
    `${node.name}.merge`,
    { geometry, eps, skip },
    [...moments, ...operands],
  );
  const convolution = [x, weight, bias].flatMap((id) => id ?? []);
  const linear = b.node('conv2d', fn === null ? node.name : `${node.name}.merged`, { geometry }, convolution);
  const y = fn === null ? linear : b.node('activation', node.name, { fn }, [linear]);
  const inOrder = order.map((_, operand) => {
    const place = order.indexOf(operand);
    return statistics.slice(2 * place, 2 * place + 2);
  });
  return [y, ...inOrder.flat()];
}
