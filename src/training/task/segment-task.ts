import { UsageError } from '../../errors.ts';
import type { GraphBuilder } from '../../graph/builder.ts';
import type { ValueId } from '../../graph/graph.ts';
import { inputName } from '../../model/mobileone.ts';
import type { HeadEvaluation } from '../../task/evaluate-head.ts';
import { evaluateSegmenter, type SegmentationMetrics } from '../../task/evaluate-segmenter.ts';
import { buildHeadNet } from '../../task/head-net.ts';
import type { Weights } from '../../tensor/tensor.ts';
import type { JointData } from '../batches/joint-data.ts';
import type { TrainRequest } from '../batches/training-data.ts';
import { truthOf } from '../batches/truth-of.ts';
import type { SegmentRecipe } from '../recipe/recipe.ts';
import { batchOf, type RunConfig, type SegmentConfig } from '../recipe/run-config.ts';
import { targetsInput } from '../step/classify-step.ts';
import type { AddLoss } from '../step/learning-step.ts';
import { countsOf, headFile, headNetOf, requiredOutput } from './head-task.ts';
import type { LearningBatch, LearningTask, TaskTools } from './learning-task.ts';
import { taskScores } from './scores.ts';
import { segmentReport } from './segment-report.ts';
import { type PicturesOf, type SegmentSources, segmentPictures } from './segment-sources.ts';

/** Learning each pixel's class, with DeepLabV3. @throws UsageError when the run learns something else */
export function segmentTask(config: RunConfig, { data, decoder }: SegmentSources): LearningTask {
  if (config.task !== 'segment')
    throw new UsageError(
      `run "${config.name}": expected one that learns to segment, found "${config.task ?? 'classify'}".`,
    );
  const { recipe, head, model, form, labels } = config;
  const picturesOf = segmentPictures(config);
  const judged = (weights: Weights, tools: TaskTools, worst: number) =>
    judge(config, data, weights, { ...tools, worst });
  return {
    config,
    scores: taskScores.segment,
    found: countsOf(data),
    net: ({ batch, size }) => {
      const auxiliary = recipe.loss.auxiliary > 0;
      return buildHeadNet(head, model, labels.length, { form, batch, height: size, width: size, auxiliary })
        .graph;
    },
    addLoss: segmentLoss(recipe),
    guess: (1 + recipe.loss.auxiliary) * Math.log(Math.max(2, labels.length)),
    trainBatches: (request) => batches(data, request, picturesOf, labels.length),
    evaluate: async (weights, tools) => {
      const metrics = (await judged(weights, tools, 0)).forms[0]?.result;
      return {
        mIoU: metrics?.meanIou ?? null,
        pixelAccuracy: metrics?.pixelAccuracy ?? null,
        meanAccuracy: metrics?.meanAccuracy ?? null,
      };
    },
    deployFile: (weights) => headFile(config, weights),
    report: async (weights, tools) => {
      const { validation } = data;
      // All answers, so that the usual can be shown beside the worst.
      const all = validation && (await judged(weights, tools, validation.samples.length));
      const found = all?.forms[0]?.result;
      const worst = found?.worst ?? [];
      return segmentReport(config, {
        ...{ data, decoder, picturesOf },
        examples: [...worst].sort((a, b) => a.index - b.index).filter(evenly(shown)),
        found: found && { ...found, worst: worst.slice(0, shown) },
      });
    },
  };
}

/** Pictures of a sheet. */
const shown = 8;

/** Keeps `count` of a list, at even distances. */
const evenly =
  (count: number) =>
  (_: unknown, i: number, all: readonly unknown[]): boolean =>
    Math.floor((i * count) / all.length) !== Math.floor(((i - 1) * count) / all.length) || i === 0;

/** Cross-entropy of all pixels that have a class (weighed as their targets are), and a share of the second head's. @see arXiv:1612.01105, 3.3 */
export function segmentLoss({
  loss,
}: {
  readonly loss: Pick<SegmentRecipe['loss'], 'smoothing' | 'auxiliary'>;
}): AddLoss {
  return (b, outputs) => {
    const logits = requiredOutput(outputs, 'logits');
    const { smoothing, auxiliary } = loss;
    const targets = b.input(targetsInput, b.shape(logits));
    const entropy = (name: string, x: ValueId): ValueId =>
      b.node('crossEntropy', name, { smoothing }, [x, targets]);
    const main = entropy('loss.pixels', logits);
    return auxiliary === 0
      ? main
      : withAuxiliary(b, main, entropy('loss.auxiliary', requiredOutput(outputs, 'auxiliary')), auxiliary);
  };
}

function withAuxiliary(b: GraphBuilder, main: ValueId, second: ValueId, factor: number): ValueId {
  const part = b.node('scale', 'loss.auxiliary.share', { factor }, [second]);
  return b.node('sum', 'loss', {}, [main, part]);
}

async function* batches(
  data: JointData,
  request: TrainRequest,
  picturesOf: PicturesOf,
  classes: number,
): AsyncGenerator<LearningBatch> {
  for await (const made of data.trainBatches(request, picturesOf(request))) {
    const { images, targets, width, height, indices, release } = made;
    const shape = [indices.length, height, width];
    yield {
      inputs: {
        [inputName]: { shape: [...shape, 3], data: images },
        [targetsInput]: { shape: [...shape, classes], data: targets },
      },
      counted: () => targets.reduce((sum, one) => sum + one, 0),
      release,
    };
  }
}

function judge(
  config: SegmentConfig,
  data: JointData,
  weights: Weights,
  tools: TaskTools & { readonly worst: number },
): Promise<HeadEvaluation<SegmentationMetrics>> {
  const batch = Math.min(batchOf(config), data.validation?.samples.length ?? 1);
  const batchesOf = data.validationBatches(batch, config.transform);
  return evaluateSegmenter(headNetOf(config, config.head, weights), batchesOf, {
    ...tools,
    batch,
    truthOf: (index) => truthOf(data, index),
  });
}
