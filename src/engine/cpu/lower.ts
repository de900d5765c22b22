import type { VectorTarget } from '../../assembler/vector-assembler.ts';
import { EngineError } from '../../errors.ts';
import { type CheckedGraph, type Node, type ValueId, valueAt } from '../../graph/graph.ts';
import { ops as opTable } from '../../graph/ops/ops.ts';
import type { Bf16Convolutions, Bf16Precision } from '../../kernel/bf16/inference/bf16-row.ts';
import { planInputGrad } from '../../kernel/convolution/conv-gradients.ts';
import { isComputed } from '../../kernel/convolution/convolution-row.ts';
import { type AnyConvTask, type ConvTask, rowsPlanner } from '../../kernel/convolution/convolution-task.ts';
import type { RoundedProducts } from '../../kernel/convolution/rounded-products.ts';
import { planStrips, type StripStage } from '../../kernel/convolution/strips.ts';
import {
  type ElementwiseLink,
  elementwiseInPlace,
  planElementwise,
} from '../../kernel/elementwise/elementwise.ts';
import type { TaskPlan } from '../../kernel/plan/plan.ts';
import type { PixelStorage } from '../../kernel/vector/storage.ts';
import { sameShape, type Tensor } from '../../tensor/tensor.ts';
import { gatherSmall } from './gather.ts';
import { joinGradients, linkedGradient } from './join-gradients.ts';
import { joinStrips } from './join-strips.ts';
import { lowerNode } from './lower-rules.ts';
import { type ChainLink, type ChainView, type Lowered, type LowerTraining, operandsOf } from './lowered.ts';
import type { Program, Task } from './program.ts';
import { updatesEarly } from './schedule.ts';
import { convSources, convTask, type Group, type Strips } from './task-group.ts';
import { termTypes } from './term-types.ts';
import { planUpdates } from './updates.ts';

/** What factors of matrix products are; all else is f32. */
export type StoragePrecision = 'f32' | Bf16Precision;

export interface LowerOptions {
  readonly training?: LowerTraining | undefined;
  /** What precisions below f32 compute convolutions with. */
  readonly bf16?: Bf16Convolutions | undefined;
  /** What precision bf16 computes training's products with; absent for f32. */
  readonly rounded?: RoundedProducts | undefined;
  /** For how many the largest tasks are cut; default 1. */
  readonly threads?: number;
}

/**
 * Graph → tasks. What is exact and free is folded: an activation, and a sum with one other value, into the
 * convolution or linear layer before them; element-wise ops into one chain; flatten and one-operand sums into
 * nothing. A fused task stands where its last node stood, so its other operands exist by then. Of several values
 * to go on from the last is taken, which is likely to be in a cache still.
 */
export function lower(
  graph: CheckedGraph,
  parameters: ReadonlyMap<ValueId, Tensor>,
  target: VectorTarget,
  precision: StoragePrecision = 'f32',
  { training, bf16, rounded: products, threads = 1 }: LowerOptions = {},
): Program {
  const constants = new Map(parameters);
  for (const { parameter } of graph.updates) constants.delete(parameter);
  const known = new Map<ValueId, Tensor>();
  const rounded = precision === 'bf16' && products?.applies(target) ? products : undefined;
  const lowered = graph.nodes.map((node) => {
    const how = lowerNode(node, { graph, constants, training, rounded });
    const [output] = node.outputs;
    if (how.kind === 'known' && output !== undefined) {
      known.set(output, how.tensor);
      constants.set(output, how.tensor);
    }
    return how;
  });
  const storage = aliases(graph, lowered);
  const uses = countUses(graph, lowered, storage);
  /** Groups in running order, by the value they give. */
  const groups = new Map<ValueId, Group>();
  graph.nodes.forEach((node, i) => {
    const [[output, ...others], how] = [node.outputs, lowered[i]];
    if (output === undefined || how === undefined || how.kind === 'alias' || how.kind === 'known') return;
    const shape = valueAt(graph, output).shape;
    if (how.kind !== 'chain') {
      groups.set(output, { body: how, links: [], nodes: [node], shape, output, others });
      return;
    }
    const soleGroup = (value: ValueId): Group | undefined => {
      const group = groups.get(storage(value));
      const seen = valueAt(graph, value).shape;
      return group && uses.get(group.output) === 1 && sameShape(group.shape, seen) ? group : undefined;
    };
    const [own] = how.views;
    if (own === undefined) return;
    const alone: Group = {
      body: { kind: 'chain', source: own.source },
      ...{ links: own.links, nodes: [node], shape, output, others },
    };
    const gradients = joinGradients(alone, how.views, soleGroup);
    if (gradients) {
      for (const group of gradients.joined) groups.delete(group.output);
      for (const group of gradients.groups) groups.set(group.output, group);
      return;
    }
    const fits = (view: ChainView): Group | undefined => {
      const group = soleGroup(view.source);
      return group && accepts(group, view.links) ? group : undefined;
    };
    const view =
      how.views.findLast((each) => fits(each)?.body.kind === 'convolution') ?? how.views.findLast(fits);
    const before = view && fits(view);
    if (before && view) {
      groups.delete(before.output);
      const links = [...before.links, ...view.links];
      groups.set(output, { ...before, links, nodes: [...before.nodes, node], output });
      return;
    }
    groups.set(output, alone);
  });
  const all = [...groups.values()];
  const types =
    precision === 'f32' ? new Map<ValueId, PixelStorage>() : termTypes(precision, graph, all, storage);
  const typeOf = (value: ValueId): PixelStorage => types.get(storage(value)) ?? 'f32';
  const context: TaskContext = { target, storage, precision, typeOf, bf16, rounded, threads };
  const renewed = renewals(graph, storage);
  const learns = graph.updates.length > 0;
  const parts = atGate(graph, all).map((groups) => {
    const made = joinStrips(groups, { target, uses, storage, threads }).map((group) =>
      makeTask(group, context),
    );
    return learns ? gatherSmall(updatesEarly(graph, made, storage, renewed), renewed) : made;
  });
  const { homes, tasks } = planUpdates(graph, parts, storage, target);
  return { tasks, storage, typeOf, homes, known };
}

/** What runs before the gate and what behind it; all in one where there is none. */
function atGate({ nodes, gate }: CheckedGraph, groups: readonly Group[]): readonly (readonly Group[])[] {
  if (gate === undefined) return [groups];
  const early = new Set(nodes.slice(0, gate.at));
  const isEarly = (group: Group): boolean => group.nodes.every((node) => early.has(node));
  return [groups.filter(isEarly), groups.filter((group) => !isEarly(group))];
}

/** The parameters that take a stored value. */
function renewals(
  { updates }: CheckedGraph,
  storage: (value: ValueId) => ValueId,
): (value: ValueId) => readonly ValueId[] {
  const renewed = new Map<ValueId, ValueId[]>();
  for (const { parameter, value } of updates)
    renewed.set(storage(value), [...(renewed.get(storage(value)) ?? []), parameter]);
  return (value) => renewed.get(value) ?? [];
}

function aliases(graph: CheckedGraph, lowered: readonly Lowered[]): (value: ValueId) => ValueId {
  const source = new Map<ValueId, ValueId>();
  graph.nodes.forEach((node, i) => {
    const [output, how] = [node.outputs[0], lowered[i]];
    if (output !== undefined && how?.kind === 'alias')
      source.set(output, source.get(how.source) ?? how.source);
  });
  return (value) => source.get(value) ?? value;
}

/** How often each stored value is read, by other tasks or as an output. */
function countUses(
  graph: CheckedGraph,
  lowered: readonly Lowered[],
  storage: (value: ValueId) => ValueId,
): ReadonlyMap<ValueId, number> {
  const uses = new Map<ValueId, number>();
  const use = (value: ValueId): void => {
    uses.set(storage(value), (uses.get(storage(value)) ?? 0) + 1);
  };
  graph.nodes.forEach((node, i) => {
    if (lowered[i]?.kind !== 'alias') node.inputs.forEach(use);
  });
  for (const { value } of [...graph.outputs, ...graph.updates]) use(value);
  return uses;
}

/** Convolutions take one sum, then one activation; their gradients what their kernels can; chains everything. */
function accepts(group: Group, more: readonly ChainLink[]): boolean {
  if (group.body.kind === 'whole') return linkedGradient(group.body, [...group.links, ...more]) !== undefined;
  if (group.body.kind === 'chain') return true;
  const kinds = [...group.links, ...more].map((link) => link.kind).join();
  return ['add', 'activation', 'add,activation'].includes(kinds);
}

interface TaskContext {
  readonly target: VectorTarget;
  readonly storage: (value: ValueId) => ValueId;
  readonly precision: StoragePrecision;
  readonly typeOf: (value: ValueId) => PixelStorage;
  readonly bf16: Bf16Convolutions | undefined;
  readonly rounded: RoundedProducts | undefined;
  readonly threads: number;
}

function stripsPlan(
  { before, source, first, second, shares }: Strips,
  output: ValueId,
  context: TaskContext,
): TaskPlan {
  const stage = (task: ConvTask, from: ValueId, to: ValueId): StripStage => ({
    task,
    plan: convPlanner(context, task, from, to),
    input: context.typeOf(from),
    output: context.typeOf(to),
  });
  return planStrips(stage(first, source, before.output), stage(second, before.output, output), {
    tiles: shares,
  });
}

/** Plans a convolution, or some of its rows. */
function convPlanner(
  { target, precision, typeOf, bf16, rounded }: TaskContext,
  whole: AnyConvTask,
  source: ValueId,
  output: ValueId,
): (task: AnyConvTask) => TaskPlan {
  if (precision === 'f32') return rowsPlanner(target, whole);
  if (bf16 === undefined)
    throw new EngineError(`engine cpu: it was given no kernels of precision ${precision}.`);
  const how = { input: typeOf(source), output: typeOf(output) };
  return (task) =>
    (isComputed(task) ? rounded?.convolution(target, task) : undefined) ??
    bf16.plan(target, task, how, precision);
}

function makeTask(group: Group, context: TaskContext): Task {
  const { target, storage, typeOf } = context;
  const { output, others, strips } = group;
  const nodes = [...(strips?.before.nodes ?? []), ...group.nodes];
  const name = nodes.at(-1)?.name ?? '';
  const ops = nodes.map((node) => (node.kind === 'activation' ? node.attrs.fn : node.kind)).join('+');
  const make = (sources: readonly ValueId[], plan: () => TaskPlan, inPlace: Task['inPlace']): Task => {
    const inputs = sources.map(storage);
    return { name, ops, inputs, outputs: [output, ...others], plan: planOf(ops, name, plan), inPlace };
  };
  const { body } = group;
  if (body.kind === 'whole') {
    const gradient = group.links.length > 0 ? linkedGradient(body, group.links) : undefined;
    if (gradient)
      return make(
        [...body.sources, ...group.links.flatMap(operandsOf)],
        () => planInputGrad(target, gradient),
        [],
      );
    const inPlace = body.inPlace ? readOnce(body.inPlace, body.sources.map(storage)) : wholeInPlace(nodes);
    return make(body.sources, () => body.plan(target), inPlace);
  }
  if (body.kind === 'convolution') {
    if (strips !== undefined) return make([strips.source], () => stripsPlan(strips, output, context), []);
    const task = convTask(body, group.links);
    const plan = () => convPlanner(context, task, body.source, output)(task);
    return make(convSources(body, group.links), plan, []);
  }
  const result = typeOf(output);
  const links = numbered(group.links);
  const task = { shape: group.shape, links, output: result === 'f32' ? 'f32' : 'bf16' } as const;
  const operands = group.links.flatMap(operandsOf);
  return make([body.source, ...operands], () => planElementwise(target, task), [elementwiseInPlace(links)]);
}

/** An input that is given twice may be read again after its other self was overwritten. */
function readOnce(inPlace: Task['inPlace'], inputs: readonly ValueId[]): Task['inPlace'] {
  return inPlace.map((choices) =>
    choices.filter((i) => inputs.filter((value) => value === inputs[i]).length === 1),
  );
}

/** @see whole */
function wholeInPlace([node]: readonly Node[]): Task['inPlace'] {
  if (node === undefined) return [];
  const { elementwise, inPlaceSafe } = opTable[node.kind];
  return elementwise && inPlaceSafe ? node.outputs.map(() => node.inputs.map((_, i) => i)) : [];
}

/** Operands become the task's inputs 1, 2, … */
function numbered(links: readonly ChainLink[]): readonly ElementwiseLink[] {
  let input = 0;
  return links.map((link): ElementwiseLink => {
    if (link.kind === 'norm')
      return { kind: 'norm', inputs: [++input, ++input, ++input, ++input], eps: link.eps };
    if (link.kind === 'derivative') return { kind: 'derivative', fn: link.fn, input: ++input };
    return 'operands' in link ? { kind: link.kind, input: ++input } : link;
  });
}

function planOf(ops: string, name: string, plan: () => TaskPlan): TaskPlan {
  try {
    return plan();
  } catch (cause) {
    if (!(cause instanceof EngineError)) throw cause;
    throw new EngineError(`${ops} "${name}": ${cause.message}`, { node: name }, { cause });
  }
}
