import type { VectorTarget } from '../../assembler/vector-assembler.ts';
import type { ValueId } from '../../graph/graph.ts';
import { type ConvTask, isComputed } from '../../kernel/convolution/convolution-row.ts';
import { stripShares } from '../../kernel/convolution/strips.ts';
import { convTask, type Group } from './task-group.ts';

export interface Readers {
  readonly target: VectorTarget;
  /** How often a stored value is read. */
  readonly uses: ReadonlyMap<ValueId, number>;
  readonly storage: (value: ValueId) => ValueId;
  readonly threads: number;
}

/** A group's convolution, if it is one by known weights. */
function knownConv({ body, links }: Group): ConvTask | undefined {
  const task = body.kind === 'convolution' ? convTask(body, links) : undefined;
  return task === undefined || isComputed(task) ? undefined : task;
}

/**
 * Convolutions take in the one before them where both together are faster: see `stripShares`.
 * @param groups in running order
 */
export function joinStrips(
  groups: readonly Group[],
  { target, uses, storage, threads }: Readers,
): readonly Group[] {
  const known = new Map(groups.map((group) => [group.output, group]));
  const taken = new Set<Group>();
  const joined = new Map<Group, Group>();
  for (const group of groups) {
    const second = knownConv(group);
    const read = group.body.kind === 'convolution' ? storage(group.body.source) : undefined;
    const before = read === undefined || uses.get(read) !== 1 ? undefined : known.get(read);
    if (second === undefined || before?.body.kind !== 'convolution' || joined.has(before)) continue;
    const first = knownConv(before);
    const shares = first && stripShares(target, first, second, threads);
    if (first === undefined || shares === undefined) continue;
    taken.add(before);
    joined.set(group, { ...group, strips: { before, source: before.body.source, first, second, shares } });
  }
  return groups.flatMap((group) => (taken.has(group) ? [] : [joined.get(group) ?? group]));
}
