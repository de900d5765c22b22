import type { Rgb } from '../image/class-colours.ts';
import type { Image } from '../image/image.ts';
import type { ClassificationMetrics } from '../metrics/classification.ts';
import type { CategoryStats, CocoStats } from '../metrics/detection/coco-eval.ts';
import type { PixelConfusion, SegmentationScores } from '../metrics/segmentation/confusion.ts';

/** One epoch in numbers; what a run does not measure is left out or null. Named as the columns of `metrics.csv`. */
export interface EpochRow {
  /** Further columns of a task. */
  readonly [column: string]: number | null | undefined;
  /** From 1. */
  readonly epoch: number;
  readonly trainLoss?: number | null;
  readonly trainTop1?: number | null;
  readonly loss?: number | null;
  readonly top1?: number | null;
  readonly top5?: number | null;
  /** Learning rate. */
  readonly rate?: number | null;
  /** Weight decay. */
  readonly decay?: number | null;
  /** Side of the training pictures. */
  readonly size?: number | null;
  /** Of augmentation. */
  readonly strength?: number | null;
  readonly imagesPerSecond?: number | null;
  /** Share of the time spent waiting for data. */
  readonly waitShare?: number | null;
  readonly seconds?: number | null;
}

export type Fact = readonly [label: string, value: string];

/** A picture with the lines under it. */
export interface CaptionedPicture {
  readonly image: Image;
  readonly caption: readonly string[];
}

export interface PictureSheet {
  readonly title: string;
  readonly note?: string;
  readonly pictures: readonly CaptionedPicture[];
  /** Longer side at which pictures are shown, in pixels; default 128. */
  readonly side?: number;
  /** What colours in the pictures mean. */
  readonly legend?: readonly { readonly name: string; readonly colour: Rgb }[];
}

/** A picture that was taken for something else. */
export interface Mistake {
  readonly image: Image;
  /** Where it comes from, such as a path. */
  readonly name: string;
  readonly truth: number;
  readonly predicted: number;
  /** Of the answer. */
  readonly probability: number;
  /** The probability that the truth got. */
  readonly truthProbability: number;
}

/** What one form of the net takes for one picture. */
export interface FormCosts {
  readonly form: 'train' | 'deploy';
  readonly parameters: number;
  /** Multiply-accumulates. */
  readonly macs: number;
  /** Median time of one picture; left out when nobody measured. */
  readonly milliseconds?: number;
}

export interface Evaluation {
  readonly metrics: ClassificationMetrics;
  readonly classNames: readonly string[];
  /** What was evaluated on what, such as `deploy form, 400 pictures of shapes/val`. */
  readonly note?: string;
}

/** Of class maps, pixel by pixel. */
export interface PixelEvaluation {
  readonly scores: SegmentationScores;
  readonly confusion: PixelConfusion;
  readonly classNames: readonly string[];
  readonly note?: string;
}

/** Of boxes, as COCO judges them. */
export interface BoxEvaluation {
  readonly stats: CocoStats;
  readonly classes: readonly (CategoryStats & { readonly className: string; readonly objects: number })[];
  readonly note?: string;
}

/** All that a report tells, as plain data; sections without data are left out. */
export interface RunReport {
  readonly title: string;
  /** How far the run is, such as `epoch 12 of 60` or `finished`. */
  readonly status?: string;
  /** The numbers to see first, at most six. */
  readonly headline?: readonly Fact[];
  readonly history?: readonly EpochRow[];
  /** From 1. */
  readonly bestEpoch?: number;
  readonly evaluation?: Evaluation;
  readonly pixels?: PixelEvaluation;
  readonly boxes?: BoxEvaluation;
  readonly mistakes?: readonly Mistake[];
  readonly sheets?: readonly PictureSheet[];
  readonly model?: { readonly facts: readonly Fact[]; readonly forms: readonly FormCosts[] };
  /** Times and where they were measured. */
  readonly speed?: readonly Fact[];
  /** The configuration as used, as JSON. */
  readonly config?: unknown;
}
