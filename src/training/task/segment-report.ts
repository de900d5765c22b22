import type { Batch } from '../../data/loader/batch.ts';
import { toPicture } from '../../data/loader/to-picture.ts';
import { classColours } from '../../image/class-colours.ts';
import type { ImageDecoder } from '../../image/codec.ts';
import type { Image } from '../../image/image.ts';
import { IGNORE, type IndexMap } from '../../image/index-map.ts';
import type { CaptionedPicture, PictureSheet } from '../../report/run-report.ts';
import { classMapPicture, sideBySide } from '../../report/side-by-side.ts';
import type { KeptSegmentation, SegmentationMetrics } from '../../task/evaluate-segmenter.ts';
import type { JointData } from '../batches/joint-data.ts';
import { truthOf } from '../batches/truth-of.ts';
import { batchOf, type SegmentConfig } from '../recipe/run-config.ts';
import { phaseAt } from '../recipe/schedules.ts';
import { headCosts } from './head-costs.ts';
import type { TaskReport } from './learning-task.ts';
import type { PicturesOf, SegmentSources } from './segment-sources.ts';

interface Findings extends SegmentSources {
  readonly found: SegmentationMetrics | undefined;
  /** Answers for the first pictures, to show the usual beside the worst. */
  readonly examples: readonly KeptSegmentation[];
  readonly picturesOf: PicturesOf;
}

const percent = (share: number | undefined): string =>
  share === undefined ? '–' : `${(100 * share).toFixed(2)}%`;

/** What the report of a run that learned segmentation tells. */
export async function segmentReport(config: SegmentConfig, findings: Findings): Promise<TaskReport> {
  const { found, examples } = findings;
  const { head, model, labels, data } = config;
  return {
    headline: [
      ['mIoU', percent(found?.meanIou)],
      ['pixel accuracy', percent(found?.pixelAccuracy)],
      ['mean class accuracy', percent(found?.meanAccuracy)],
    ],
    ...(found
      ? {
          pixels: {
            scores: found,
            confusion: found.confusion,
            classNames: labels,
            note: `deploy form, averaged weights, ${data.validation} pictures of ${data.name} at their own size`,
          },
        }
      : {}),
    sheets: [
      ...(await answerSheet('Examples', 'Picture, truth, answer.', examples, config, findings)),
      ...(await answerSheet(
        'Worst pictures',
        'Picture, truth, answer; the lowest mean IoU first.',
        found?.worst ?? [],
        config,
        findings,
      )),
      ...(await augmentedSheet(config, findings)),
    ],
    model: {
      facts: [
        ['net', `DeepLabV3 (${head.style}, ${head.channels} channels, output stride ${head.outputStride})`],
        ['backbone', `${model.name}, k = ${model.branches}`],
      ],
      forms: headCosts(config),
    },
  };
}

/** Longer side of three pictures together. */
const side = 500;

const legendOf = ({ labels }: Pick<SegmentConfig, 'labels'>) => {
  const colours = classColours(labels.length);
  return labels.map((name, label) => ({ name, colour: colours[label] ?? ([0, 0, 0] as const) }));
};

/** Pictures with their truth and what the net says of them, side by side. */
export async function answerSheet(
  title: string,
  note: string,
  answers: readonly KeptSegmentation[],
  config: Pick<SegmentConfig, 'labels'>,
  { data, decoder }: { readonly data: Pick<JointData, 'validation'>; readonly decoder: ImageDecoder },
): Promise<readonly PictureSheet[]> {
  const { validation } = data;
  if (validation === undefined || answers.length === 0) return [];
  const colours = classColours(config.labels.length);
  const pictures: CaptionedPicture[] = [];
  for (const { index, answer, meanIou, pixelAccuracy } of answers) {
    const path = validation.samples[index]?.path;
    if (path === undefined) continue;
    const image = await decoder.decode(await validation.files.read(path), { name: path });
    const maps = [await truthOf(data, index), answer].map((map) => classMapPicture(map, colours));
    const caption = [`mIoU ${percent(meanIou)}, pixels ${percent(pixelAccuracy)}`, path];
    pictures.push({ image: sideBySide([image, ...maps], side), caption });
  }
  return [{ title, note, side, legend: legendOf(config), pictures }];
}

/** What the last epoch began with: pictures and classes as they are learned from. */
async function augmentedSheet(
  config: SegmentConfig,
  { data, picturesOf }: Findings,
): Promise<readonly PictureSheet[]> {
  const epoch = config.recipe.epochs - 1;
  const phase = phaseAt(config.recipe.phases, epoch);
  for await (const batch of data.trainBatches(
    { epoch, from: 0, batch: batchOf(config) },
    picturesOf(phase),
  )) {
    const pictures = Array.from({ length: Math.min(8, batch.indices.length) }, (_, row) => ({
      image: learnedFrom(batch, row, config),
      caption: [],
    }));
    batch.release();
    const note = `Training pictures and their classes as the net sees them: ${phase.size}×${phase.size}, strength of augmentation ${phase.strength}; black is ignored.`;
    return [{ title: 'Augmented batch', note, side: 250, legend: legendOf(config), pictures }];
  }
  return [];
}

function learnedFrom(batch: Batch, row: number, { labels }: SegmentConfig): Image {
  const { width, height, targets } = batch;
  const classes = labels.length;
  const data = new Uint8Array(width * height).fill(IGNORE);
  const from = row * data.length * classes;
  for (let i = 0; i < data.length * classes; i++)
    if (targets[from + i] === 1) data[Math.floor(i / classes)] = i % classes;
  const map: IndexMap = { width, height, data };
  return sideBySide([toPicture(batch, row), classMapPicture(map, classColours(classes))], 250);
}
