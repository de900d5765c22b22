import { UsageError } from '../errors.ts';
import type { IndexMap } from '../image/index-map.ts';
import { keepMost } from '../metrics/keep-most.ts';
import {
  type AbsentClass,
  countPixels,
  type PixelConfusion,
  pixelConfusion,
  type SegmentationScores,
  segmentationScores,
} from '../metrics/segmentation/confusion.ts';
import { deepLabStyles } from '../model/deeplabv3.ts';
import {
  type EvaluateHeadOptions,
  evaluateHead,
  type HeadEvaluation,
  type HeadMeter,
  type SizedBatch,
} from './evaluate-head.ts';
import { exactSize, type HeadNet } from './head-net.ts';
import { classMapOf } from './segment.ts';
import type { SegmentHead } from './task-head.ts';

export interface EvaluateSegmenterOptions extends EvaluateHeadOptions {
  /** Class of each pixel, or IGNORE, at the size of the picture. */
  readonly truthOf: (index: number) => IndexMap | Promise<IndexMap>;
  /** How classes count that are nowhere; default `skip`. */
  readonly absent?: AbsentClass;
}

export interface KeptSegmentation {
  /** Of the sample. */
  readonly index: number;
  /** Of the classes that are in the picture or were seen in it. */
  readonly meanIou: number;
  readonly pixelAccuracy: number;
  readonly answer: IndexMap;
}

export interface SegmentationMetrics extends SegmentationScores {
  readonly count: number;
  readonly absent: AbsentClass;
  readonly confusion: PixelConfusion;
  /** Lowest mean IoU first. */
  readonly worst: readonly KeptSegmentation[];
}

/**
 * Judges a segmenter pixel by pixel at the pictures' own sizes.
 * @throws UsageError for the train form of deploy-form weights, DataError for a truth of another size than its picture;
 *   the signal's reason after an abort
 */
export function evaluateSegmenter(
  net: HeadNet<SegmentHead>,
  batches: AsyncIterable<SizedBatch>,
  options: EvaluateSegmenterOptions,
): Promise<HeadEvaluation<SegmentationMetrics>> {
  return evaluateHead(net, batches, options, () => segmentationMeter(net, options));
}

function segmentationMeter(
  { head, labels, transform }: HeadNet<SegmentHead>,
  { truthOf, absent = 'skip', worst = 12 }: EvaluateSegmenterOptions,
): HeadMeter<SegmentationMetrics> {
  const { alignCorners } = deepLabStyles[head.style];
  const via = exactSize(transform);
  const whole = pixelConfusion(labels.length);
  const kept = keepMost<KeptSegmentation>(worst);
  let count = 0;
  return {
    add: async ({ logits }, { row, index, width, height }) => {
      if (logits === undefined) throw new UsageError('evaluateSegmenter: the net has no output "logits".');
      const truth = await truthOf(index);
      const { classMap } = classMapOf(logits, { width, height }, { alignCorners, via, n: row });
      const own = pixelConfusion(labels.length);
      countPixels(own, truth.data, classMap);
      for (let i = 0; i < own.counts.length; i++)
        whole.counts[i] = (whole.counts[i] ?? 0) + (own.counts[i] ?? 0);
      count++;
      const { meanIou, pixelAccuracy } = segmentationScores(own, 'skip');
      if (Number.isNaN(pixelAccuracy) || !kept.wants(1 - meanIou)) return;
      kept.offer(1 - meanIou, { index, meanIou, pixelAccuracy, answer: { width, height, data: classMap } });
    },
    result: () => {
      const scores = segmentationScores(whole, absent);
      return { ...scores, count, absent, confusion: whole, worst: kept.items() };
    },
  };
}
