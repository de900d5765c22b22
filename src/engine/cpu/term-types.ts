/**
 * Which values between tasks are stored as bf16 terms: those that only matrix products read, and that come from a
 * kernel that can write them so. Everything else stays f32.
 */
import type { CheckedGraph, ValueId } from '../../graph/graph.ts';
import { type Bf16Precision, productTerms } from '../../kernel/bf16/inference/bf16-row.ts';
import { isDense } from '../../kernel/convolution/convolution-row.ts';
import { isDepthwise } from '../../kernel/convolution/depthwise/depthwise.ts';
import type { PixelStorage } from '../../kernel/vector/storage.ts';
import { operandsOf } from './lowered.ts';
import { convSources, convTask, type Group } from './task-group.ts';

type Terms = 1 | 2;

export function termTypes(
  precision: Bf16Precision,
  graph: CheckedGraph,
  groups: readonly Group[],
  storage: (value: ValueId) => ValueId,
): ReadonlyMap<ValueId, PixelStorage> {
  /** Terms that readers of a value want; 0 where one of them wants f32. */
  const wanted = new Map<ValueId, Terms | 0>();
  const read = (value: ValueId, terms: Terms | 0): void => {
    const known = wanted.get(storage(value));
    wanted.set(storage(value), known === undefined || known === terms ? terms : 0);
  };
  for (const { value } of [...graph.outputs, ...graph.updates]) read(value, 0);
  for (const { body, links } of groups) {
    for (const operand of links.flatMap(operandsOf)) read(operand, 0);
    if (body.kind === 'whole') for (const source of body.sources) read(source, 0);
    if (body.kind === 'chain') read(body.source, 0);
    if (body.kind !== 'convolution') continue;
    for (const operand of convSources(body, [])) if (operand !== body.source) read(operand, 0);
    const task = convTask(body, links);
    read(body.source, isDense(task) ? productTerms(precision, task).input : 0);
  }
  const types = new Map<ValueId, PixelStorage>();
  for (const group of groups) {
    const terms = wanted.get(storage(group.output)) ?? 0;
    if (terms > 0 && terms <= writableTerms(group))
      types.set(storage(group.output), { terms: terms === 2 ? 2 : 1 });
  }
  return types;
}

/** The most terms in which a task can write its result; 0 for f32 only. */
function writableTerms({ body, links }: Group): Terms | 0 {
  if (body.kind === 'whole') return 0;
  if (body.kind === 'chain') return 1;
  const task = convTask(body, links);
  if (task.residual || !(isDense(task) || isDepthwise(task))) return 0;
  return 2;
}
