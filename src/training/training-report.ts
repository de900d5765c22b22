import type { ClassDataset } from '../data/dataset.ts';
import { toPicture } from '../data/loader/to-picture.ts';
import { MobileOneError } from '../errors.ts';
import { graphCost } from '../graph/cost.ts';
import type { ImageDecoder } from '../image/codec.ts';
import type { ClassificationMetrics } from '../metrics/classification.ts';
import type { Form } from '../model/block.ts';
import { buildMobileOne } from '../model/mobileone.ts';
import type {
  CaptionedPicture,
  Fact,
  FormCosts,
  Mistake,
  PictureSheet,
  RunReport,
} from '../report/run-report.ts';
import type { KeptMistake } from '../task/evaluate-classifier.ts';
import type { RunConfig } from './run-config.ts';
import type { MetricsRow, Progress } from './run-progress.ts';
import type { TrainingBatch } from './training-data.ts';

export interface TrainingReportParts {
  readonly config: RunConfig;
  readonly progress: Pick<Progress, 'history' | 'bestEpoch'>;
  /** Such as `finished`; default how many epochs are over. */
  readonly status?: string;
  /** Of the best epoch. */
  readonly metrics?: ClassificationMetrics | undefined;
  readonly mistakes?: readonly Mistake[];
  readonly sheets?: readonly PictureSheet[];
  /** Median time of one picture, milliseconds. */
  readonly milliseconds?: Readonly<Partial<Record<Form, number>>>;
  /** More about the machine and the run. */
  readonly speed?: readonly Fact[];
}

/** All that is known about a run, as a report tells it; at the end or under way. */
export function trainingReport(parts: TrainingReportParts): RunReport {
  const { config, progress, status, metrics, mistakes, sheets, speed = [] } = parts;
  const { history, bestEpoch } = progress;
  const { recipe, labels, data } = config;
  const best = history[bestEpoch - 1];
  return {
    title: `${config.name} on ${data.name}`,
    status: status ?? `epoch ${history.length} of ${recipe.epochs}`,
    headline: headlineOf(history, best),
    history,
    ...(best ? { bestEpoch } : {}),
    ...(metrics
      ? {
          evaluation: {
            metrics,
            classNames: labels,
            note: `validation pictures, deploy form${best ? `, epoch ${bestEpoch}` : ''}`,
          },
        }
      : {}),
    ...(mistakes ? { mistakes } : {}),
    ...(sheets ? { sheets } : {}),
    model: modelFacts(parts),
    speed: [...speedFacts(history), ...speed],
    config,
  };
}

const percent = (share: number | null | undefined): string =>
  typeof share === 'number' ? `${(100 * share).toFixed(1)}%` : '–';

function headlineOf(history: readonly MetricsRow[], best: MetricsRow | undefined): readonly Fact[] {
  const last = history.at(-1);
  if (!last) return [];
  return [
    ...(best?.top1 === null || best === undefined
      ? []
      : ([
          ['validation top-1', percent(best.top1)],
          ['validation top-5', percent(best.top5)],
        ] as const)),
    ['training loss', last.trainLoss.toFixed(3)],
    ...(best ? ([['best epoch', String(best.epoch)]] as const) : []),
    ['pictures a second', last.imagesPerSecond.toFixed(0)],
  ];
}

function speedFacts(history: readonly MetricsRow[]): readonly Fact[] {
  const seconds = history.reduce((sum, row) => sum + row.seconds, 0);
  if (seconds <= 0) return [];
  const pictures = history.reduce((sum, row) => sum + row.imagesPerSecond * row.seconds, 0);
  const waited = history.reduce((sum, row) => sum + row.waitShare * row.seconds, 0);
  return [
    [
      'time in training steps',
      seconds < 120 ? `${seconds.toFixed(1)} s` : `${(seconds / 60).toFixed(1)} min`,
    ],
    ['pictures a second', (pictures / seconds).toFixed(1)],
    ['share of the time waiting for pictures', percent(waited / seconds)],
  ];
}

function modelFacts({ config, milliseconds = {} }: TrainingReportParts): NonNullable<RunReport['model']> {
  const { model, recipe, form, data } = config;
  const { size } = recipe.evaluation;
  const costs = (one: Form): FormCosts => {
    const { parameters, macs } = graphCost(buildMobileOne(model, { form: one, height: size, width: size }));
    const time = milliseconds[one];
    return { form: one, parameters, macs, ...(time === undefined ? {} : { milliseconds: time }) };
  };
  return {
    facts: [
      ['net', model.name],
      ['input', `${size} × ${size}`],
      ['classes', String(model.classes)],
      ['training pictures', String(data.train)],
      ['validation pictures', String(data.validation)],
      ['started from', config.from ?? 'fresh weights'],
    ],
    forms: (form === 'train' ? (['train', 'deploy'] as const) : (['deploy'] as const)).map(costs),
  };
}

/** Training pictures as the net sees them, with their classes; mixed ones with both. */
export function augmentedSheet(
  { images, targets }: TrainingBatch,
  config: RunConfig,
  most = 32,
): PictureSheet {
  const [count = 0, height = 0, width = 0] = images.shape;
  const classes = config.labels.length;
  const batch = { images: Float32Array.from(images.data), height, width, normalization: config.transform };
  const pictures = Array.from({ length: Math.min(most, count) }, (_, row): CaptionedPicture => {
    const shares = Array.from(targets.data.subarray(row * classes, (row + 1) * classes));
    const named = shares
      .map((share, label) => ({ share, name: config.labels[label] ?? `class ${label}` }))
      .filter(({ share }) => share > 0.005)
      .sort((a, b) => b.share - a.share);
    const caption = named.map(({ share, name }) =>
      share > 0.995 ? name : `${name} ${(100 * share).toFixed(0)}%`,
    );
    return { image: toPicture(batch, row), caption: caption.slice(0, 2) };
  });
  return { title: 'Augmented batch', note: 'Training pictures as the net sees them.', pictures };
}

/** The pictures of mistakes, read again; those that cannot be read are left out. */
export async function openMistakes(
  mistakes: readonly KeptMistake[],
  dataset: ClassDataset,
  decoder: ImageDecoder,
): Promise<readonly Mistake[]> {
  const opened = mistakes.map(async ({ index, ...rest }): Promise<readonly Mistake[]> => {
    const path = dataset.samples[index]?.path;
    if (path === undefined) return [];
    try {
      const image = await decoder.decode(await dataset.files.read(path), { name: path, shortSide: 256 });
      return [{ image, name: path, ...rest }];
    } catch (error) {
      if (error instanceof MobileOneError) return [];
      throw error;
    }
  });
  return (await Promise.all(opened)).flat();
}
