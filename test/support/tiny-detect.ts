/** Drawn pictures with boxes, and a net small enough to learn them while one waits. */
import { checkAnnotations } from '../../src/data/annotations/check-annotations.ts';
import { openAnnotated } from '../../src/data/annotations/open-annotated.ts';
import type { BatchPool } from '../../src/data/loader/batch.ts';
import { createInlinePool } from '../../src/data/loader/inline-pool.ts';
import { annotatedFiles } from '../../src/data/procedural/annotated-files.ts';
import type { ShapeKind } from '../../src/data/procedural/shapes.ts';
import { createPortableDecoder } from '../../src/image/portable-decoder.ts';
import { jointData } from '../../src/training/batches/joint-data.ts';
import { boxShares, prepareDetectRun } from '../../src/training/recipe/prepare-head-run.ts';
import { detectTask } from '../../src/training/task/detect-task.ts';

export interface TinyDetect {
  readonly train: number;
  readonly val: number;
  readonly size: number;
  readonly epochs: number;
  readonly batch: number;
  readonly widths: readonly number[];
  readonly pairs?: readonly number[];
  readonly branches?: number;
  readonly kinds?: readonly ShapeKind[];
  readonly objects?: readonly [least: number, most: number];
  readonly radius?: readonly [least: number, most: number];
  readonly occluders?: number;
  readonly texture?: number;
  readonly noise?: number;
  readonly set?: readonly string[];
  readonly pool?: BatchPool;
}

export async function tinyDetect(options: TinyDetect) {
  const { train, val, size, epochs, batch, widths, pairs = [1, 1, 1, 1], branches = 1, set = [] } = options;
  const { kinds, objects, radius, occluders = 0, texture = 0.3, noise } = options;
  const decoder = createPortableDecoder({ advice: '' });
  const files = annotatedFiles({
    ...{ train, val, seed: 3, annotations: 'boxes', width: size, height: size, occluders, texture },
    ...(kinds && { kinds }),
    ...(objects && { objects }),
    ...(radius && { radius }),
    ...(noise === undefined ? {} : { noise }),
  });
  const found = await openAnnotated(files, decoder, { task: 'detect' });
  const { data: splits } = await checkAnnotations(found, decoder);
  const { config, weights } = prepareDetectRun({
    name: 'shapes',
    labels: splits.classes,
    model: { widths, pairs, branches },
    data: { name: 'shapes', train, validation: val, holdOut: null },
    recipe: 'small-detect',
    boxes: boxShares(splits.train),
    ...{ epochs, batch, size, set },
  });
  const data = jointData(splits, options.pool ?? createInlinePool(decoder), { cacheBytes: 2 ** 28 });
  return { config, weights, data, decoder, task: detectTask(config, { data, decoder }) };
}
