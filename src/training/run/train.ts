import type { RunConfig } from '../recipe/run-config.ts';
import { type ClassifySources, classifyTask } from '../task/classify-task.ts';
import { type LearnOptions, learn, type TrainResult } from './learn.ts';
import { type RunCheckpoint, readRunCheckpoint } from './run-checkpoint.ts';
import { runFiles } from './run-files.ts';
import type { RunStore } from './run-store.ts';

export interface TrainOptions extends LearnOptions, Pick<ClassifySources, 'data' | 'teacher'> {
  readonly config: RunConfig;
}

/** Trains a classifier: `learn` with `classifyTask`. @throws UsageError when the run learns something else, and as `learn` */
export function train(options: TrainOptions): Promise<TrainResult> {
  return learn(classifyTask(options.config, options), options);
}

/** The run that a store holds, at its last checkpoint; undefined when there is none. @throws FormatError */
export async function readRun(store: RunStore): Promise<RunCheckpoint | undefined> {
  const bytes = await store.read(runFiles.last);
  return bytes && readRunCheckpoint(bytes);
}
