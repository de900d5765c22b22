import type { Box } from '../metrics/detection/box.ts';
import { boxIou } from '../metrics/detection/box.ts';
import { type CategoryStats, type CocoStats, cocoEval } from '../metrics/detection/coco-eval.ts';
import type { Detection, DetectionTruth } from '../metrics/detection/ground-truth.ts';
import { keepMost } from '../metrics/keep-most.ts';
import { type DetectedObject, detectionDecoder } from './detect.ts';
import {
  type EvaluateHeadOptions,
  evaluateHead,
  type HeadEvaluation,
  type HeadMeter,
  type SizedBatch,
} from './evaluate-head.ts';
import type { HeadNet } from './head-net.ts';
import { type DetectHead, detectorStyles } from './task-head.ts';

/** An object that is in a picture. */
export interface TrueObject {
  /** Index among the net's labels. */
  readonly category: number;
  /** Left, top, width, height in pixels of the picture. */
  readonly box: Box;
  /** Pixels; COCO's ranges of size go by it. */
  readonly area: number;
  /** Detections in it count neither for nor against. */
  readonly crowd: boolean;
}

export interface EvaluateDetectorOptions extends EvaluateHeadOptions {
  readonly truthOf: (index: number) => readonly TrueObject[];
  /** How many of the first pictures to keep, whatever is in them; default 0. */
  readonly examples?: number;
}

export interface ClassDetection extends CategoryStats {
  readonly label: number;
  readonly className: string;
  /** That count. */
  readonly objects: number;
}

/** A picture with what was overlooked and what was seen that is not there, at IoU 0.5 and scores from `shownScore`. */
export interface KeptDetections {
  /** Of the sample. */
  readonly index: number;
  readonly missed: number;
  readonly wrong: number;
  readonly objects: readonly DetectedObject[];
}

/** How sure a detection must be to count in pictures that people look at. */
const shownScore = 0.3;

export interface DetectionMetrics {
  readonly count: number;
  /** COCO's twelve numbers. */
  readonly stats: CocoStats;
  /** By label; −1 where a class has no objects. */
  readonly classes: readonly ClassDetection[];
  /** Most mistakes first. */
  readonly worst: readonly KeptDetections[];
  readonly examples: readonly KeptDetections[];
}

/**
 * Judges a detector as COCO does, scores from the style's threshold on and at most 100 objects a picture.
 * @throws UsageError for the train form of deploy-form weights; the signal's reason after an abort
 */
export function evaluateDetector(
  net: HeadNet<DetectHead>,
  batches: AsyncIterable<SizedBatch>,
  options: EvaluateDetectorOptions,
): Promise<HeadEvaluation<DetectionMetrics>> {
  return evaluateHead(net, batches, options, (maps) =>
    detectionMeter(net, detectionDecoder(net, maps), options),
  );
}

function detectionMeter(
  { head, labels }: HeadNet<DetectHead>,
  decode: ReturnType<typeof detectionDecoder>,
  { truthOf, worst = 12, examples = 0 }: EvaluateDetectorOptions,
): HeadMeter<DetectionMetrics> {
  const { rule } = detectorStyles[head.style];
  const truths: DetectionTruth[] = [];
  const detections: Detection[] = [];
  const kept = keepMost<KeptDetections>(worst);
  const first: KeptDetections[] = [];
  let count = 0;
  return {
    add: (outputs, { row, index, width, height }) => {
      const own = truthOf(index);
      const found = decode(outputs, row, { width, height }, rule);
      for (const truth of own) truths.push({ image: index, ...truth });
      for (const { label, score, box } of found) {
        const detection = { image: index, category: label, score };
        detections.push({ ...detection, box: [box.x, box.y, box.width, box.height] });
      }
      count++;
      const sure = found.filter(({ score }) => score >= shownScore);
      const { missed, wrong } = mistakes(sure, own);
      const judged = { index, missed, wrong, objects: sure };
      if (missed + wrong > 0) kept.offer(missed + wrong, judged);
      if (first.length < examples) first.push(judged);
    },
    result: () => {
      const { stats, categories } = cocoEval(truths, detections, { categories: [...labels.keys()] });
      const none: CategoryStats = { AP: -1, AP50: -1, AP75: -1, AR100: -1, curve50: [] };
      const classes = labels.map((className, label) => ({
        label,
        className,
        objects: truths.filter(({ category, crowd }) => category === label && !crowd).length,
        ...(categories.get(label) ?? none),
      }));
      return { count, stats, classes, worst: kept.items(), examples: first };
    },
  };
}

/** The surest detection of a class takes the object it overlaps most; what lies in a crowd counts for nothing. */
function mistakes(
  found: readonly DetectedObject[],
  truths: readonly TrueObject[],
): { readonly missed: number; readonly wrong: number } {
  const free = new Set(truths.filter(({ crowd }) => !crowd));
  const crowds = truths.filter(({ crowd }) => crowd);
  let wrong = 0;
  for (const { label, box } of found) {
    const own: Box = [box.x, box.y, box.width, box.height];
    let [best, most]: [TrueObject | undefined, number] = [undefined, 0.5];
    for (const truth of free) {
      const iou = truth.category === label ? boxIou(own, truth.box, false) : 0;
      if (iou >= most) [best, most] = [truth, iou];
    }
    if (best) free.delete(best);
    else if (!crowds.some((crowd) => crowd.category === label && boxIou(own, crowd.box, true) >= 0.5))
      wrong++;
  }
  return { missed: free.size, wrong };
}
