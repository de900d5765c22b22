import type { AnchorTargetStyle } from '../../detection/anchor-targets.ts';
import type { Corners } from '../../detection/anchors.ts';
import type { Normalization } from '../../image/apply-transform.ts';
import type { Augmentation } from '../../image/augmentation.ts';
import type { EvalTransform } from '../../image/eval-transform.ts';
import type { Image } from '../../image/image.ts';
import type { IndexMap } from '../../image/index-map.ts';
import type { DetectAugmentation, SegmentAugmentation } from '../../image/joint/joint-augmentation.ts';
import type { JointObject } from '../../image/joint/joint-sample.ts';
import type { PictureSize } from '../../image/picture-size.ts';
import type { Interpolation } from '../../image/resize.ts';

/** Samples side by side, as a net takes them. */
export interface Batch {
  /** Which one of its epoch, from 0. */
  readonly step: number;
  /** NHWC [N, H, W, 3], normalized, RGB. */
  readonly images: Float32Array;
  /**
   * What the net is to say, zeros where there is no sample. Classes: [N, classes], one 1 a row, or two shares where
   * samples are mixed. `segment`: [N, H, W, classes], one 1 (or its class's weight) a pixel, none where it is ignored. `detect`: [N, A], an
   * anchor's class, background, or −1 where it does not count. Evaluation of objects or masks: none.
   */
  readonly targets: Float32Array;
  /** `detect`: [N, A, 4], from anchors to their objects; else none. */
  readonly offsets: Float32Array;
  /** Each row's index into the data set's samples; −1 where there is none. Of a mixed row, the larger share's. */
  readonly indices: Int32Array;
  /** [N, 2]: width and height of each row's picture as decoded; 0 where there is none. */
  readonly sizes: Int32Array;
  /** H = W for training. */
  readonly height: number;
  readonly width: number;
  readonly normalization: Normalization;
  /** Gives the arrays back for later batches; they must not be used any more. Not calling it costs memory only. */
  readonly release: () => void;
}

interface AugmentedPictures {
  readonly interpolation: Interpolation;
  readonly normalization: Normalization;
  /** Side in pixels, and strength of augmentation 0–1; an epoch may have its own. */
  readonly size: number;
  readonly strength: number;
}

/** How training pictures of classes are made. */
export interface TrainPictures extends AugmentedPictures {
  readonly kind: 'train';
  readonly augmentation: Augmentation;
  /** Parameters of the Beta distributions of mixup and cutmix; 0 for none. With both, each is taken half the time. */
  readonly mixup: number;
  readonly cutmix: number;
}

/** How training pictures with objects are made. */
export interface DetectPictures extends AugmentedPictures {
  readonly kind: 'detect';
  readonly augmentation: DetectAugmentation;
  /** Of the net at this size. */
  readonly anchors: Corners;
  readonly targets: AnchorTargetStyle;
}

/** How training pictures with class masks are made. */
export interface SegmentPictures extends AugmentedPictures {
  readonly kind: 'segment';
  readonly augmentation: SegmentAugmentation;
  /** What is written of a pixel of each class; default 1. */
  readonly weights?: readonly number[];
}

/** Pictures as they are evaluated and predicted from. */
export interface EvalPictures {
  readonly kind: 'eval';
  readonly transform: EvalTransform;
}

export type BatchPictures = TrainPictures | DetectPictures | SegmentPictures | EvalPictures;

/** What is known of a picture with objects or a class mask: plain data without objects' masks. */
export interface JointTarget {
  readonly objects: readonly JointObject[];
  readonly classMask?: string;
  readonly size?: PictureSize;
}

/** What a sample's files hold. */
export interface SampleContents {
  readonly image: Image;
  /** Class of each pixel, or IGNORE. */
  readonly classMask?: IndexMap;
}

/** A row of a batch to be made: where its picture comes from. All of this can be sent to a worker thread. */
export interface Slot {
  readonly index: number;
  readonly path: string;
  /** Index of a class, or objects and mask. */
  readonly target: number | JointTarget;
  /** When they are in the cache. */
  readonly contents?: SampleContents;
  /** The files' bytes, when the worker cannot read them. */
  readonly bytes?: Uint8Array;
  readonly maskBytes?: Uint8Array;
  /** Whether to hand the decoded files back for the cache. */
  readonly keep: boolean;
}

/** One sample, or several to be put together. */
export type Row = readonly [Slot, ...Slot[]];

export interface BatchTask {
  readonly rows: readonly (Row | undefined)[];
  readonly pictures: BatchPictures;
  readonly classes: number;
  /** Of class masks: stored number → class, IGNORE or UNKNOWN. */
  readonly coding: Uint8Array | undefined;
  readonly seed: number;
  readonly epoch: number;
  readonly step: number;
  /** Where the files are; undefined when every slot has its picture or bytes. */
  readonly location: string | undefined;
  /** Short side that larger pictures are shrunk to when they are read. */
  readonly shrink: number | undefined;
  /** Arrays to reuse, if they have the right size. */
  readonly buffers: BatchBuffers | undefined;
}

export interface BatchBuffers {
  readonly images: Float32Array<ArrayBuffer>;
  readonly targets: Float32Array<ArrayBuffer>;
  readonly offsets: Float32Array<ArrayBuffer>;
}

/** What moves between threads instead of being copied. */
export const transferOf = ({ images, targets, offsets }: BatchBuffers): ArrayBuffer[] => [
  images.buffer,
  targets.buffer,
  offsets.buffer,
];

export interface BatchResult extends BatchBuffers {
  readonly sizes: Int32Array;
  /** Slots whose picture could not be read; the arrays mean nothing then. */
  readonly broken: readonly { readonly index: number; readonly path: string; readonly reason: string }[];
  /** For the cache. */
  readonly decoded: readonly { readonly index: number; readonly contents: SampleContents }[];
  /** Time the batch took to make. */
  readonly ms: number;
}

/** Who makes batches: this thread, or workers. It knows no data set and serves any number of loaders. */
export interface BatchPool {
  /** How many batches are worth asking for ahead of need. */
  readonly ahead: number;
  /** Whether tasks with a `location` are understood. */
  readonly readsFiles: boolean;
  readonly make: (task: BatchTask) => Promise<BatchResult>;
  /** Ends the workers; batches still being made are rejected. */
  readonly close: () => Promise<void>;
}

/** Height and width of a batch's pictures. */
export function pictureSize(pictures: BatchPictures): PictureSize {
  if (pictures.kind !== 'eval') return { width: pictures.size, height: pictures.size };
  const { crop, resize } = pictures.transform;
  if (crop) return crop;
  if (resize.kind === 'exact') return resize;
  return { width: resize.size, height: resize.size };
}

export const normalizationOf = (pictures: BatchPictures): Normalization =>
  pictures.kind === 'eval' ? pictures.transform : pictures.normalization;
