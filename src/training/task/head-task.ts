import { GraphError } from '../../errors.ts';
import type { ValueId } from '../../graph/graph.ts';
import { encodeHeadNet } from '../../task/head-checkpoint.ts';
import { type HeadNet, runnableNet } from '../../task/head-net.ts';
import type { TaskHead } from '../../task/task-head.ts';
import type { Weights } from '../../tensor/tensor.ts';
import type { JointData } from '../batches/joint-data.ts';
import type { DetectConfig, SegmentConfig } from '../recipe/run-config.ts';
import type { LearningTask } from './learning-task.ts';

/** What tasks with heads have in common. */

/** Weights of a run as a net to use. */
export function headNetOf<H extends TaskHead>(
  { model, form, transform, labels }: DetectConfig | SegmentConfig,
  head: H,
  weights: Weights,
): HeadNet<H> {
  return { head, config: model, form, weights, transform, labels };
}

/** A trained net for use: deploy form without what only training needs, with all that it takes to use it inside. */
export function headFile(config: DetectConfig | SegmentConfig, weights: Weights): Uint8Array {
  const { net } = runnableNet(headNetOf(config, config.head, weights), 'deploy');
  return encodeHeadNet({ ...config, weights: net.weights });
}

export const countsOf = ({ trainCount, validation, classes }: JointData): LearningTask['found'] => ({
  train: trainCount,
  validation: validation?.samples.length ?? 0,
  classes: classes.length,
});

/** @throws GraphError when the net has no such output */
export function requiredOutput(outputs: ReadonlyMap<string, ValueId>, name: string): ValueId {
  const value = outputs.get(name);
  if (value === undefined) throw new GraphError(`training step: needs an output "${name}".`);
  return value;
}
