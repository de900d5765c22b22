import type { AnnotatedSplits } from '../../data/annotations/annotated.ts';
import { checkAnnotations, describeAnnotationReport } from '../../data/annotations/check-annotations.ts';
import { openAnnotated } from '../../data/annotations/open-annotated.ts';
import { readPictureSize } from '../../image/picture-size.ts';
import { folderFiles } from '../../platform/node/folder-files.ts';
import { createNodeDecoder } from '../../platform/node/image-decoder.ts';
import { readHeadNet, readTaskHead } from '../../task/head-checkpoint.ts';
import { loadNet } from '../../task/load-net.ts';
import {
  boxShares,
  type HeadSource,
  prepareDetectRun,
  prepareSegmentRun,
} from '../../training/recipe/prepare-head-run.ts';
import { dataFacts } from '../../training/recipe/prepare-run.ts';
import type { Terminal } from '../terminal.ts';
import { printable } from '../text/layout.ts';
import { fetchWeights, type HubFlags, hubOptions } from '../weights.ts';
import { type NewRunFlags, recipeChoices } from './new-run-flags.ts';

export interface AnnotatedOptions {
  readonly task: 'detect' | 'segment';
  readonly holdOut: number | null;
  readonly seed: number;
  /** Stop at faults in annotations instead of leaving them out. */
  readonly strict: boolean;
}

/** Opens annotated pictures and leaves out what cannot be used, telling of it. @throws DataError */
export async function openAnnotatedRun(
  path: string,
  { task, holdOut, seed, strict }: AnnotatedOptions,
  terminal: Terminal,
): Promise<AnnotatedSplits> {
  const decoder = await createNodeDecoder();
  const options = { task, seed, ...(holdOut === null ? {} : { holdOut }) };
  const found = await openAnnotated(folderFiles(path), decoder, options);
  const shown = terminal.drawsProgress;
  const { data, report } = await checkAnnotations(found, decoder, {
    onFault: strict ? 'stop' : 'skip',
    onProgress: (done, total) => {
      if (shown && (done % 50 === 0 || done === total))
        process.stderr.write(`\rchecking pictures ${done}/${total}`);
    },
  });
  if (shown) process.stderr.write('\r\x1b[K');
  terminal.note(...describeAnnotationReport(report).map(printable));
  return data;
}

/** Configuration and weights of a new run on annotated pictures. */
export async function prepareAnnotatedRun(
  splits: AnnotatedSplits,
  place: string,
  task: 'detect' | 'segment',
  flags: NewRunFlags,
  terminal: Terminal,
) {
  const { shortSide, aspect } = await pictureShape(splits);
  const from = flags.from === undefined ? undefined : await headSource(flags.from, flags, terminal);
  const plan = {
    ...recipeChoices(flags),
    labels: splits.classes,
    categoryIds: splits.categoryIds,
    data: dataFacts(splits, { name: place, holdOut: flags.holdOut ?? null }),
    ...{ shortSide, aspect },
    ...(from ? { from } : {}),
  };
  const { style, headChannels, outputStride } = flags;
  const head = {
    ...(style === undefined ? {} : { style }),
    ...(headChannels === undefined ? {} : { channels: headChannels }),
    ...(outputStride === undefined ? {} : { outputStride }),
  };
  const prepared =
    task === 'detect'
      ? prepareDetectRun({ ...plan, ...detectChoices(splits, flags) })
      : prepareSegmentRun({ ...plan, head, pixels: splits.train.pixels });
  const origin = from
    ? `${printable(from.name)}, ${prepared.config.form} form; fresh: ${prepared.fresh.join(', ') || 'nothing'}`
    : `fresh weights, seed ${prepared.config.recipe.seed}`;
  return { ...prepared, origin };
}

/** Anchors fitted to the objects of the training part, or those of a style. */
function detectChoices({ train }: AnnotatedSplits, { anchors }: NewRunFlags) {
  if (anchors !== undefined && anchors !== 'data') return { anchors };
  return { ...(anchors === undefined ? {} : { anchors }), boxes: boxShares(train) };
}

/** Medians over some pictures, evenly over the training part. */
async function pictureShape({ train }: AnnotatedSplits): Promise<{ shortSide: number; aspect: number }> {
  const decoder = await createNodeDecoder();
  const every = Math.max(1, Math.floor(train.samples.length / 50));
  const sizes = await Promise.all(
    train.samples
      .filter((_, i) => i % every === 0)
      .map(
        async ({ path, target }) =>
          target.size ?? (await readPictureSize(await train.files.read(path), path, decoder)),
      ),
  );
  const median = (values: readonly number[]): number =>
    [...values].sort((a, b) => a - b)[values.length >> 1] ?? 1;
  return {
    shortSide: median(sizes.map(({ width, height }) => Math.min(width, height))),
    aspect: median(sizes.map(({ width, height }) => width / height)),
  };
}

/** A classifier as a backbone, or a net with a head. */
async function headSource(name: string, flags: HubFlags, terminal: Terminal): Promise<HeadSource> {
  const hub = hubOptions(flags);
  const { location, file } = await fetchWeights(name, hub, terminal);
  if (await readTaskHead(file)) return { ...(await readHeadNet(file)), name };
  const { net, transform, labels } = await loadNet(location, hub);
  return { name, config: net.config, form: net.form, weights: net.weights, transform, labels };
}
