import type { VectorTarget } from '../../assembler/vector-assembler.ts';
import type { ValueId } from '../../graph/graph.ts';
import { type ConvTask, isComputed } from '../../kernel/convolution-row.ts';
import { isDepthwise } from '../../kernel/depthwise.ts';
import { canRunInStrips, gainsFromStrips, paysInStrips } from '../../kernel/strips.ts';
import { convTask, type Group } from './task-group.ts';

export interface Readers {
  readonly target: VectorTarget;
  /** How often a stored value is read. */
  readonly uses: ReadonlyMap<ValueId, number>;
  readonly storage: (value: ValueId) => ValueId;
}

/** A group's convolution, if it is one by known weights. */
function knownConv({ body, links }: Group): ConvTask | undefined {
  const task = body.kind === 'convolution' ? convTask(body, links) : undefined;
  return task === undefined || isComputed(task) ? undefined : task;
}

/**
 * Depthwise convolutions take in the convolution before them where both together are faster: where the picture between
 * them is larger than a cache, as after the stem of a net. (The pointwise one after a depthwise one gains nothing so:
 * what lies between is smaller, and strips cut its blocks short.)
 * @param groups in running order
 */
export function joinStrips(groups: readonly Group[], { target, uses, storage }: Readers): readonly Group[] {
  if (!gainsFromStrips(target)) return groups;
  const known = new Map(groups.map((group) => [group.output, group]));
  const taken = new Set<Group>();
  const joined = new Map<Group, Group>();
  for (const group of groups) {
    const second = knownConv(group);
    const read = group.body.kind === 'convolution' ? storage(group.body.source) : undefined;
    const before = read === undefined || uses.get(read) !== 1 ? undefined : known.get(read);
    if (second === undefined || before?.body.kind !== 'convolution' || joined.has(before)) continue;
    const first = knownConv(before);
    if (first === undefined || !isDepthwise(second)) continue;
    if (!canRunInStrips(first, second) || !paysInStrips(first)) continue;
    taken.add(before);
    joined.set(group, { ...group, strips: { before, source: before.body.source, first, second } });
  }
  return groups.flatMap((group) => (taken.has(group) ? [] : [joined.get(group) ?? group]));
}
