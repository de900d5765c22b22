import { freemem } from 'node:os';
import type { BrokenPicture } from '../../data/check-dataset.ts';
import type { BatchPool } from '../../data/loader/batch.ts';
import { createNodeDecoder } from '../../platform/node/image-decoder.ts';
import { loadNet } from '../../task/load-net.ts';
import { classData } from '../../training/batches/class-data.ts';
import { jointData } from '../../training/batches/joint-data.ts';
import { type RunConfig, requireClassify } from '../../training/recipe/run-config.ts';
import { classifyTask } from '../../training/task/classify-task.ts';
import { detectTask } from '../../training/task/detect-task.ts';
import type { LearningTask } from '../../training/task/learning-task.ts';
import { segmentTask } from '../../training/task/segment-task.ts';
import type { Terminal } from '../terminal.ts';
import { printable } from '../text/layout.ts';
import { fetchWeights, type HubFlags, hubOptions } from '../weights.ts';
import type { StartedRun } from './start-run.ts';

const mostCacheBytes = 2 ** 31;

export interface TaskFlags extends HubFlags {
  readonly teacher?: string;
}

/** What a started run learns, on pictures that a pool loads. */
export async function learningTask(
  run: StartedRun,
  pool: BatchPool,
  flags: TaskFlags,
  terminal: Terminal,
): Promise<LearningTask> {
  const { config, data } = run;
  const decoder = await createNodeDecoder();
  const common = {
    seed: config.recipe.seed,
    cacheBytes: Math.min(mostCacheBytes, Math.floor(freemem() / 4)),
    shrink: shrinkSide(config),
    onBroken: ({ path, reason }: BrokenPicture): void => {
      if (!run.checked) terminal.note(printable(`cannot be read, passed over: ${path} (${reason})`));
    },
  };
  if (data.kind === 'classes') {
    const { recipe, transform } = requireClassify(config);
    const { splits } = data;
    const { interpolation } = transform;
    const options = { ...common, augment: recipe.augment, normalization: transform, interpolation };
    return classifyTask(config, {
      data: classData(splits, pool, options),
      pictures: splits.val && { dataset: splits.val, decoder },
      ...(flags.teacher === undefined ? {} : { teacher: await findTeacher(flags.teacher, flags, terminal) }),
    });
  }
  const sources = { data: jointData(data.splits, pool, common), decoder };
  return config.task === 'detect' ? detectTask(config, sources) : segmentTask(config, sources);
}

/** A crop may be half of a picture's side; pictures larger than twice what is needed are shrunk as they are read. */
function shrinkSide({ recipe }: RunConfig): number {
  const { evaluation } = recipe;
  const whole = 'resize' in evaluation ? evaluation.resize : Math.min(evaluation.width, evaluation.height);
  return 2 * Math.max(whole, ...recipe.phases.map(({ size }) => size));
}

async function findTeacher(name: string, flags: HubFlags, terminal: Terminal) {
  const hub = hubOptions(flags);
  const { location } = await fetchWeights(name, hub, terminal);
  return (await loadNet(location, hub)).net;
}
