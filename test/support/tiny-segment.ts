/** Drawn pictures with class masks, and a net so small that it learns them in a moment. */
import { checkAnnotations } from '../../src/data/annotations/check-annotations.ts';
import { openAnnotated } from '../../src/data/annotations/open-annotated.ts';
import { createInlinePool } from '../../src/data/loader/inline-pool.ts';
import { annotatedFiles } from '../../src/data/procedural/annotated-files.ts';
import { createPortableDecoder } from '../../src/image/portable-decoder.ts';
import { jointData } from '../../src/training/batches/joint-data.ts';
import { prepareSegmentRun } from '../../src/training/recipe/prepare-head-run.ts';
import { segmentTask } from '../../src/training/task/segment-task.ts';

export interface TinySegment {
  readonly train: number;
  readonly val: number;
  readonly size: number;
  readonly epochs: number;
  readonly batch: number;
  readonly widths: readonly number[];
  readonly channels: number;
  readonly set?: readonly string[];
  readonly radius?: readonly [least: number, most: number];
}

export async function tinySegment({
  train,
  val,
  size,
  epochs,
  batch,
  widths,
  channels,
  set = [],
  radius = [0.25, 0.4],
}: TinySegment) {
  const decoder = createPortableDecoder({ advice: '' });
  const files = annotatedFiles({
    ...{ train, val, seed: 3, annotations: 'masks', width: size, height: size, kinds: ['circle'] },
    ...{ radius, occluders: 0, texture: 0.3 },
  });
  const { data: splits } = await checkAnnotations(
    await openAnnotated(files, decoder, { task: 'segment' }),
    decoder,
  );
  const { config, weights } = prepareSegmentRun({
    name: 'circles',
    labels: splits.classes,
    model: { widths, pairs: [1, 1, 1, 1], branches: 1 },
    head: { channels, rates: [2, 4], outputStride: 8 },
    data: { name: 'circles', train, validation: val, holdOut: null },
    recipe: 'small-segment',
    pixels: splits.train.pixels,
    ...{ epochs, batch, size, set },
  });
  const data = jointData(splits, createInlinePool(decoder), { cacheBytes: 2 ** 26 });
  return { config, weights, data, decoder, task: segmentTask(config, { data, decoder }) };
}
