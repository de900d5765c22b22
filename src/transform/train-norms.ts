import { isOutputActivation, type OutputActivation } from '../graph/activations.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import { type CheckedGraph, type Node, type ValueId, valueAt } from '../graph/graph.ts';
import { elementCount } from '../tensor/tensor.ts';
import { wiringOf } from './branches.ts';
import { rewriteGraph } from './rewrite.ts';
import { defaultMomentum, type StatisticsUpdates, statisticsUpdates } from './running-statistics.ts';

export interface TrainNormsOptions {
  /** Share of the batch in renewed running statistics; default 0.1, as PyTorch. */
  readonly momentum?: number;
  /** Batch norms, by node name, that go on using their running statistics. */
  readonly frozen?: (name: string) => boolean;
}

/** Batch norms whose sum, and perhaps its activation, become one node in place of the last of them. */
interface Group {
  readonly norms: readonly Node<'batchNorm'>[];
  readonly fn: OutputActivation | null;
  readonly last: Node;
  readonly nodes: readonly Node[];
}

/**
 * Batch norms by running statistics → batch norms that measure their batch and renew the running statistics
 * (`Graph.updates`). Norms, their sum and its activation become one `normSum` where nothing else uses what lies
 * between; it has the name of the last node it stands for. Parameters stay as they are.
 * @throws ShapeError where a batch has only one value per channel
 */
export function trainNorms(graph: CheckedGraph, options: TrainNormsOptions = {}): CheckedGraph {
  const { momentum = defaultMomentum, frozen = () => false } = options;
  const groups = groupNorms(graph, frozen);
  if (groups.length === 0) return graph;
  const byLast = new Map(groups.map((group) => [group.last, group]));
  const absorbed = new Set(groups.flatMap(({ nodes }) => nodes));
  return rewriteGraph(graph, (b, now) => {
    const updates = statisticsUpdates(b, momentum);
    return {
      replace: (node) => {
        const group = byLast.get(node);
        if (group) return emitGroup(group, { graph, b, now, updates });
        return absorbed.has(node) ? [] : undefined;
      },
      finish: updates.finish,
    };
  });
}

/** Sums first, so that what is left of their operands stands alone. */
function groupNorms(graph: CheckedGraph, frozen: (name: string) => boolean): readonly Group[] {
  const wiring = wiringOf(graph);
  const parameters = new Set(graph.parameters.map(({ value }) => value));
  const learns = (node: Node | undefined): node is Node<'batchNorm'> =>
    node?.kind === 'batchNorm' &&
    !frozen(node.name) &&
    node.inputs.slice(3).every((id) => parameters.has(id));
  const isOwn = (id: ValueId): boolean => wiring.uses.get(id) === 1;
  const activationOf = activationsByInput(graph);
  const grouped = new Set<Node>();
  const close = (norms: readonly Node<'batchNorm'>[], end: Node): Group => {
    const output = end.outputs[0];
    const next = output === undefined || !isOwn(output) ? undefined : activationOf.get(output);
    const nodes = [...norms, end, ...(next ? [next.node] : [])];
    for (const node of nodes) grouped.add(node);
    return { norms, fn: next?.fn ?? null, last: next?.node ?? end, nodes };
  };
  const sums = graph.nodes.flatMap((node) => {
    if (node.kind !== 'sum' || !node.inputs.every(isOwn)) return [];
    const norms = node.inputs.map((id) => wiring.producer.get(id)).filter(learns);
    const alike = norms.every(({ attrs }) => attrs.eps === norms[0]?.attrs.eps);
    return alike && norms.length === node.inputs.length ? [close(norms, node)] : [];
  });
  const alone = graph.nodes.flatMap((node) =>
    learns(node) && !grouped.has(node) ? [close([node], node)] : [],
  );
  return [...sums, ...alone];
}

interface OutputActivationNode {
  readonly node: Node;
  readonly fn: OutputActivation;
}

/** Activations whose derivative follows from their result, by what they read. */
function activationsByInput(graph: CheckedGraph): ReadonlyMap<ValueId, OutputActivationNode> {
  const found = new Map<ValueId, OutputActivationNode>();
  for (const node of graph.nodes) {
    const [input] = node.inputs;
    if (node.kind === 'activation' && isOutputActivation(node.attrs.fn) && input !== undefined)
      found.set(input, { node, fn: node.attrs.fn });
  }
  return found;
}

interface Emission {
  readonly graph: CheckedGraph;
  readonly b: GraphBuilder;
  readonly now: (id: ValueId) => ValueId;
  readonly updates: StatisticsUpdates;
}

function emitGroup({ norms, fn, last }: Group, { graph, b, now, updates }: Emission): readonly ValueId[] {
  const eps = norms[0]?.attrs.eps ?? 0;
  const operands = norms.flatMap((norm) => norm.inputs.slice(0, 3).map(now));
  const [y, ...statistics] = b.results('normSum', last.name, { eps, fn }, operands);
  norms.forEach(({ name, inputs }, i) => {
    const [x, , , runningMean, runningVariance] = inputs;
    const [mean, variance] = statistics.slice(2 * i, 2 * i + 2);
    if (x === undefined || runningMean === undefined || runningVariance === undefined) return;
    if (mean === undefined || variance === undefined) return;
    const { shape } = valueAt(graph, x);
    updates.renew(
      { mean: now(runningMean), variance: now(runningVariance) },
      { name, mean, variance, count: elementCount(shape.slice(0, -1)) },
    );
  });
  return y === undefined ? [] : [y];
}
