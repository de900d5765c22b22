import type { Normalization } from '../../image/apply-transform.ts';
import type { Augmentation } from '../../image/augmentation.ts';
import type { EvalTransform } from '../../image/eval-transform.ts';
import type { Image } from '../../image/image.ts';
import type { Interpolation } from '../../image/resize.ts';

/** Samples side by side, as a net takes them. */
export interface Batch {
  /** Which one of its epoch, from 0. */
  readonly step: number;
  /** NHWC [N, H, W, 3], normalized, RGB. */
  readonly images: Float32Array;
  /** [N, classes]: one 1 a row, or two shares where samples are mixed; zeros where there is no sample. */
  readonly targets: Float32Array;
  /** Each row's index into the data set's samples; −1 where there is none. Of a mixed row, the larger share's. */
  readonly indices: Int32Array;
  /** H = W for training. */
  readonly height: number;
  readonly width: number;
  readonly normalization: Normalization;
  /** Gives the arrays back for later batches; they must not be used any more. Not calling it costs memory only. */
  readonly release: () => void;
}

/** How training pictures are made. */
export interface TrainPictures {
  readonly kind: 'train';
  readonly augmentation: Augmentation;
  /** Parameters of the Beta distributions of mixup and cutmix; 0 for none. With both, each is taken half the time. */
  readonly mixup: number;
  readonly cutmix: number;
  readonly interpolation: Interpolation;
  readonly normalization: Normalization;
  /** Side in pixels, and strength of augmentation 0–1; an epoch may have its own. */
  readonly size: number;
  readonly strength: number;
}

/** Pictures as they are evaluated and predicted from. */
export interface EvalPictures {
  readonly kind: 'eval';
  readonly transform: EvalTransform;
}

export type BatchPictures = TrainPictures | EvalPictures;

/** A row of a batch to be made: where its picture comes from. All of this can be sent to a worker thread. */
export interface Slot {
  readonly index: number;
  readonly path: string;
  readonly target: number;
  /** The picture, when it is in the cache. */
  readonly picture?: Image;
  /** The file's bytes, when the worker cannot read it. */
  readonly bytes?: Uint8Array;
  /** Whether to hand the decoded picture back for the cache. */
  readonly keep: boolean;
}

export interface BatchTask {
  readonly slots: readonly (Slot | undefined)[];
  readonly pictures: BatchPictures;
  readonly classes: number;
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
}

export interface BatchResult extends BatchBuffers {
  /** Slots whose picture could not be read; the arrays mean nothing then. */
  readonly broken: readonly { readonly index: number; readonly path: string; readonly reason: string }[];
  /** Pictures for the cache. */
  readonly decoded: readonly { readonly index: number; readonly picture: Image }[];
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
export function pictureSize(pictures: BatchPictures): { readonly width: number; readonly height: number } {
  if (pictures.kind === 'train') return { width: pictures.size, height: pictures.size };
  const { crop, resize } = pictures.transform;
  if (crop) return crop;
  if (resize.kind === 'exact') return resize;
  return { width: resize.size, height: resize.size };
}

export const normalizationOf = (pictures: BatchPictures): Normalization =>
  pictures.kind === 'train' ? pictures.normalization : pictures.transform;
