import type { AnnotatedDataset } from '../../data/annotations/annotated.ts';
import { toPicture } from '../../data/loader/to-picture.ts';
import { decodeBoxes } from '../../detection/box-coder.ts';
import { MobileOneError } from '../../errors.ts';
import type { ImageDecoder } from '../../image/codec.ts';
import { drawBoxes, type LabelledBox } from '../../image/draw/draw-boxes.ts';
import type { CaptionedPicture, PictureSheet } from '../../report/run-report.ts';
import { sideBySide } from '../../report/side-by-side.ts';
import type { DetectionMetrics, KeptDetections } from '../../task/evaluate-detector.ts';
import type { JointData } from '../batches/joint-data.ts';
import { batchOf, type DetectConfig } from '../recipe/run-config.ts';
import { phaseAt } from '../recipe/schedules.ts';
import type { DetectPicturesOf } from './detect-pictures.ts';
import { headCosts } from './head-costs.ts';
import type { TaskReport } from './learning-task.ts';

interface ReportSources {
  readonly data: JointData;
  readonly decoder: ImageDecoder;
  readonly found: DetectionMetrics | undefined;
  readonly picturesOf: DetectPicturesOf;
}

/** What a report tells of a run that learns to find objects. */
export async function detectReport(config: DetectConfig, sources: ReportSources): Promise<TaskReport> {
  const { data, decoder, found } = sources;
  const { validation } = data;
  const percent = (share: number | undefined): string =>
    share === undefined || share < 0 ? '–' : `${(100 * share).toFixed(2)}%`;
  const drawn = found && validation ? await detectionSheets(found, validation, decoder) : [];
  return {
    headline: [
      ['mAP', percent(found?.stats.AP)],
      ['mAP50', percent(found?.stats.AP50)],
    ],
    ...(found
      ? {
          boxes: {
            ...found,
            note: `deploy form, averaged weights, ${found.count} pictures of ${config.data.name}; COCO's protocol`,
          },
        }
      : {}),
    sheets: [...drawn, ...(await augmentedSheet(config, sources))],
    model: { facts: modelFacts(config), forms: headCosts(config) },
  };
}

/** Longer side of pictures with boxes, and of two beside each other: smaller ones cannot be read. */
const [shownSide, pairSide] = [240, 500];

/** Pictures with the objects found in them, and beside them the true ones: the worst, and the first of the data. */
export async function detectionSheets(
  { worst, examples }: Pick<DetectionMetrics, 'worst' | 'examples'>,
  dataset: AnnotatedDataset,
  decoder: ImageDecoder,
): Promise<readonly PictureSheet[]> {
  const sheet = async (
    title: string,
    note: string,
    kept: readonly KeptDetections[],
  ): Promise<PictureSheet> => ({
    title,
    note,
    side: pairSide,
    pictures: (await Promise.all(kept.map((one) => drawnPicture(one, dataset, decoder)))).flat(),
  });
  return [
    await sheet(
      'Worst pictures',
      'Left what was found, right the truth; most objects overlooked or seen where there are none first.',
      worst,
    ),
    await sheet(
      'Examples',
      'Left what was found, right the truth: the first pictures of the data.',
      examples,
    ),
  ];
}

/** Left what was found, with scores, right the truth. A picture that cannot be read a second time is left out. */
async function drawnPicture(
  { index, missed, wrong, objects }: KeptDetections,
  { samples, files, classes }: AnnotatedDataset,
  decoder: ImageDecoder,
): Promise<readonly CaptionedPicture[]> {
  const sample = samples[index];
  if (sample === undefined) return [];
  try {
    const image = await decoder.decode(await files.read(sample.path), { name: sample.path });
    const truth = sample.target.objects.map(
      ({ category, box: [x, y, width, height] }): LabelledBox => ({
        label: category,
        className: classes[category] ?? '',
        box: { x, y, width, height },
      }),
    );
    const both = sideBySide([drawBoxes(image, objects), drawBoxes(image, truth)], pairSide);
    return [{ image: both, caption: [`${missed} missed, ${wrong} wrong of ${truth.length}`, sample.path] }];
  } catch (error) {
    if (error instanceof MobileOneError) return [];
    throw error;
  }
}

const augmentedShown = 8;

/** What the last epoch began with: pictures as they are learned from, with the boxes that anchors are to find. */
async function augmentedSheet(
  config: DetectConfig,
  { data, picturesOf }: ReportSources,
): Promise<readonly PictureSheet[]> {
  const epoch = config.recipe.epochs - 1;
  const { size, strength } = phaseAt(config.recipe.phases, epoch);
  const pictures = picturesOf({ size, strength });
  const { anchors, targets: style } = pictures;
  const boxes = new Float32Array(anchors.length);
  for await (const batch of data.trainBatches({ epoch, from: 0, batch: batchOf(config) }, pictures)) {
    const shown = Array.from({ length: Math.min(augmentedShown, batch.indices.length) }, (_, row) => {
      const labels = batch.targets.subarray((row * anchors.length) / 4, ((row + 1) * anchors.length) / 4);
      decodeBoxes(
        style.coder,
        anchors,
        batch.offsets.subarray(row * anchors.length, (row + 1) * anchors.length),
        boxes,
      );
      const wanted = wantedBoxes(labels, boxes, style.background, config.labels);
      const image = drawBoxes(toPicture(batch, row), wanted);
      return { image, caption: [`${wanted.length} objects`] };
    });
    batch.release();
    const note = `Training pictures as the net sees them, with the boxes that it is to find: ${size}×${size}, strength of augmentation ${strength}.`;
    return [{ title: 'Augmented batch', note, side: shownSide, pictures: shown }];
  }
  return [];
}

/** The objects of a picture, each of which several anchors are to find. */
function wantedBoxes(
  labels: Float32Array,
  boxes: Float32Array,
  background: number,
  names: readonly string[],
): readonly LabelledBox[] {
  const distinct = new Map<string, LabelledBox>();
  labels.forEach((value, anchor) => {
    if (value < 0 || value === background) return;
    const label = value < background ? value : value - 1;
    const [x = 0, y = 0, right = 0, bottom = 0] = boxes.subarray(4 * anchor, 4 * anchor + 4);
    const key = [label, x, y, right, bottom].map(Math.round).join();
    const box = { x, y, width: right - x, height: bottom - y };
    distinct.set(key, { label, className: names[label] ?? '', box });
  });
  return [...distinct.values()];
}

function modelFacts({ model, head }: DetectConfig): readonly (readonly [string, string])[] {
  return [
    ['net', `${model.name}, k = ${model.branches}, SSDLite as ${head.style}'s`],
    ['feature maps', String(head.anchors.levels.length)],
  ];
}
