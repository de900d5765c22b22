import type { AnnotatedDataset } from '../../data/annotations/annotated.ts';
import { GraphError, UsageError } from '../../errors.ts';
import type { ValueId } from '../../graph/graph.ts';
import type { ImageDecoder } from '../../image/codec.ts';
import { inputName } from '../../model/mobileone.ts';
import { type DetectionMetrics, evaluateDetector, type TrueObject } from '../../task/evaluate-detector.ts';
import type { HeadEvaluation } from '../../task/evaluate-head.ts';
import { type DetectHead, detectorStyles } from '../../task/task-head.ts';
import { elementCount, type Weights } from '../../tensor/tensor.ts';
import type { JointData } from '../batches/joint-data.ts';
import type { TrainRequest } from '../batches/training-data.ts';
import { batchOf, type DetectConfig, type RunConfig } from '../recipe/run-config.ts';
import type { AddLoss } from '../step/learning-step.ts';
import { type DetectPicturesOf, detectNet, detectPictures } from './detect-pictures.ts';
import { detectReport } from './detect-report.ts';
import { countsOf, headFile, headNetOf, requiredOutput } from './head-task.ts';
import type { LearningBatch, LearningTask, TaskTools } from './learning-task.ts';
import { taskScores } from './scores.ts';

export interface DetectSources {
  readonly data: JointData;
  /** Of validation pictures for the report. */
  readonly decoder: ImageDecoder;
}

/** Learning to find objects, with SSDLite. @throws UsageError when the run learns something else */
export function detectTask(given: RunConfig, { data, decoder }: DetectSources): LearningTask {
  const config = requireDetect(given);
  const { recipe, labels } = config;
  const picturesOf = detectPictures(config);
  const judged = (weights: Weights, tools: TaskTools, worst: number) =>
    judge(config, data, weights, { ...tools, worst, examples: worst });
  return {
    config,
    scores: taskScores.detect,
    found: countsOf(data),
    net: (shape) => detectNet(config, shape).graph,
    addLoss: detectLoss(config.head, labels.length, recipe.loss.negatives),
    // Each anchor with an object brings others that have none; offsets of fitting anchors are about 1.
    guess: (1 + recipe.loss.negatives) * Math.log(labels.length + 1) + 2,
    trainBatches: (request) => batches(data, request, picturesOf, backgroundOf(config)),
    evaluate: async (weights, tools) => {
      const { AP, AP50, AP75 } = (await judged(weights, tools, 0)).forms[0]?.result.stats ?? {};
      return { mAP: share(AP), mAP50: share(AP50), mAP75: share(AP75) };
    },
    deployFile: (weights) => headFile(config, weights),
    report: async (weights, tools) => {
      const found = data.validation ? (await judged(weights, tools, worstShown)).forms[0]?.result : undefined;
      return detectReport(config, { data, decoder, found, picturesOf });
    },
  };
}

const worstShown = 6;

const backgroundOf = ({ head, labels }: DetectConfig): number =>
  detectorStyles[head.style].background(labels.length);

/** COCO says −1 where there is nothing to find. */
const share = (value: number | undefined): number | null => (value === undefined || value < 0 ? null : value);

function requireDetect(config: RunConfig): DetectConfig {
  if (config.task === 'detect') return config;
  throw new UsageError(
    `run "${config.name}": expected one that learns to detect, found "${config.task ?? 'classify'}".`,
  );
}

export const labelsInput = 'labels';
export const offsetsInput = 'offsets';

/**
 * SSD's loss. Inputs: `labels` [N, A] and `offsets` [N, A, 4] as `writeAnchorTargets` makes them.
 * @param objects classes without the background
 */
export function detectLoss(head: DetectHead, objects: number, negatives: number): AddLoss {
  return (b, outputs) => {
    const maps = head.anchors.levels.map((_, i): readonly [ValueId, ValueId] => [
      requiredOutput(outputs, `classes.${i}`),
      requiredOutput(outputs, `boxes.${i}`),
    ]);
    const shapes = maps.map(([, boxes]) => b.shape(boxes));
    const images = shapes[0]?.[0] ?? 1;
    const anchors = shapes.reduce((sum, shape) => sum + elementCount(shape), 0) / 4 / images;
    const truth = [b.input(labelsInput, [images, anchors]), b.input(offsetsInput, [images, anchors, 4])];
    const background = detectorStyles[head.style].background(objects);
    const attrs = { classes: objects + 1, background, negatives };
    const [loss] = b.results('ssdLoss', 'loss', attrs, [...truth, ...maps.flat()]);
    if (loss === undefined) throw new GraphError('training step: the detection loss has no result.');
    return loss;
  };
}

async function* batches(
  data: JointData,
  request: TrainRequest,
  picturesOf: DetectPicturesOf,
  background: number,
): AsyncGenerator<LearningBatch> {
  for await (const made of data.trainBatches(request, picturesOf(request))) {
    const { images, targets, offsets, width, height, indices, release } = made;
    const [count, anchors] = [indices.length, targets.length / indices.length];
    yield {
      inputs: {
        [inputName]: { shape: [count, height, width, 3], data: images },
        [labelsInput]: { shape: [count, anchors], data: targets },
        [offsetsInput]: { shape: [count, anchors, 4], data: offsets },
      },
      // Hard negatives are chosen picture by picture, so parts differ in what their losses are divided by only.
      counted: () => targets.reduce((sum, label) => (label >= 0 && label !== background ? sum + 1 : sum), 0),
      release,
    };
  }
}

function judge(
  config: DetectConfig,
  data: JointData,
  weights: Weights,
  tools: TaskTools & { readonly worst: number; readonly examples: number },
): Promise<HeadEvaluation<DetectionMetrics>> {
  const { validation } = data;
  const batch = Math.min(batchOf(config), validation?.samples.length ?? 1);
  const pictures = data.validationBatches(batch, config.transform);
  const truthOf = (index: number) => (validation ? truthsOf(validation, index) : []);
  return evaluateDetector(headNetOf(config, config.head, weights), pictures, { ...tools, batch, truthOf });
}

/** What is in a picture; difficult objects count neither for nor against, as crowds do. */
export function truthsOf({ samples }: AnnotatedDataset, index: number): readonly TrueObject[] {
  return (samples[index]?.target.objects ?? []).map(({ category, box, area, crowd, difficult }) => ({
    category,
    box,
    area,
    crowd: crowd || difficult,
  }));
}
