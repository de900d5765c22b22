import { formatGeometry, isCentred, pointGeometry } from '../../graph/geometry.ts';
import type { ValueId } from '../../graph/graph.ts';
import {
  canPlanInputGrad,
  type InputGradTask,
  type InputGradTerm,
  planInputGrad,
} from '../../kernel/convolution/conv-gradients.ts';
import { sameShape } from '../../tensor/tensor.ts';
import type { ChainLink, ChainView } from './lowered.ts';
import type { Body, Group } from './task-group.ts';

/** The values that a chain adds up, if adding is all it does. */
function addends(views: readonly ChainView[]): readonly ValueId[] | undefined {
  const [first] = views;
  if (first === undefined || views.length < 2) return undefined;
  const operands = first.links.map((link) => (link.kind === 'add' ? link.operands[0] : undefined));
  const known = operands.filter((operand) => operand !== undefined);
  return known.length === operands.length ? [first.source, ...known] : undefined;
}

/** What became of a sum. */
export interface JoinedGradients {
  /** The groups whose results it added up. */
  readonly joined: readonly Group[];
  /** The groups in their place, in running order; the last one gives the sum. */
  readonly groups: readonly Group[];
}

interface Candidate {
  readonly group: Group;
  readonly task: InputGradTask;
  readonly sources: readonly ValueId[];
}

function candidateOf(group: Group | undefined): Candidate | undefined {
  if (group?.body.kind !== 'whole' || group.body.inputGrad === undefined || group.links.length > 0)
    return undefined;
  return { group, task: group.body.inputGrad, sources: group.body.sources };
}

/**
 * The gradients of an input by several convolutions are joined where one task can read them all, with one more
 * value added to their sum.
 * @param sum an element-wise node as a group of its own
 * @param soleGroup the group that gives a value which nothing else reads
 */
export function joinGradients(
  sum: Group,
  views: readonly ChainView[],
  soleGroup: (value: ValueId) => Group | undefined,
): JoinedGradients | undefined {
  const values = addends(views) ?? [];
  const candidates = values.flatMap((value) => candidateOf(soleGroup(value)) ?? []).sort(byWidth);
  const [widest] = candidates;
  const parts = candidates.flatMap((each) => {
    const term = widest && termOf(each.task, widest.task);
    return term === undefined ? [] : [{ ...each, term }];
  });
  const joined = parts.map(({ group }) => group);
  const last = joined.at(-1);
  if (widest === undefined || last === undefined || joined.length < 2) return undefined;
  const rest = values.filter((value) => !joined.some((group) => group === soleGroup(value)));
  const residual = rest.length === 1;
  const task: InputGradTask = { ...widest.task, terms: parts.map(({ term }) => term), residual };
  if (!canPlanInputGrad(task)) return undefined;
  const sources = [...parts.flatMap((part) => part.sources), ...(residual ? rest : [])];
  const body: Body = { kind: 'whole', sources, plan: (target) => planInputGrad(target, task) };
  const nodes = joined.flatMap((group) => group.nodes);
  if (rest.length < 2)
    return { joined, groups: [{ ...sum, body, links: [], nodes: [...nodes, ...sum.nodes] }] };
  const links = rest.map((operand): ChainLink => ({ kind: 'add', operands: [operand] }));
  const chain: Group = { ...sum, body: { kind: 'chain', source: last.output }, links };
  return { joined, groups: [{ ...last, body, nodes }, chain] };
}

/** A gradient with links after it, if one task can compute them: another value added, an activation's derivative. */
export function linkedGradient(
  { inputGrad }: Extract<Body, { kind: 'whole' }>,
  links: readonly ChainLink[],
): InputGradTask | undefined {
  const kinds = links.map(({ kind }) => kind).join();
  if (inputGrad === undefined || !['add', 'derivative', 'add,derivative'].includes(kinds)) return undefined;
  const last = links.at(-1);
  const task: InputGradTask = {
    ...inputGrad,
    residual: links[0]?.kind === 'add',
    ...(last?.kind === 'derivative' ? { derivative: last.fn } : {}),
  };
  return canPlanInputGrad(task) ? task : undefined;
}

/** Wider windows first. */
function byWidth(one: Candidate, other: Candidate): number {
  const area = ({ task }: Candidate): number => task.geometry.kernel[0] * task.geometry.kernel[1];
  return area(other) - area(one);
}

/** What a convolution is beside one with a window at least as wide; none if they do not fit together. */
function termOf(own: InputGradTask, widest: InputGradTask): InputGradTerm | undefined {
  if (!sameShape(own.input, widest.input) || own.outChannels !== widest.outChannels) return undefined;
  const geometry = formatGeometry(own.geometry);
  if (geometry === formatGeometry(widest.geometry)) return 'window';
  if (!isCentred(widest.geometry)) return undefined;
  return geometry === formatGeometry(pointGeometry(widest.geometry)) ? 'centre' : undefined;
}
