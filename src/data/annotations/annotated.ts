import type { PictureSize } from '../../image/picture-size.ts';
import type { Box } from '../../metrics/detection/box.ts';
import type { MaskRle } from '../../metrics/detection/mask-rle.ts';
import type { Dataset, IgnoredFile } from '../dataset.ts';
import type { Finding } from './findings.ts';

/** Which of a picture's pixels are an object's: outlines (x, y, x, y, … in pixels) or runs of a mask. */
export type ObjectMask =
  | { readonly kind: 'polygons'; readonly polygons: readonly (readonly number[])[] }
  | { readonly kind: 'rle'; readonly rle: MaskRle };

export interface AnnotatedObject {
  /** Index into the data set's classes. */
  readonly category: number;
  /** Left, top, width, height in pixels of the upright picture. */
  readonly box: Box;
  readonly mask?: ObjectMask;
  /** Stands for many objects; nothing in it counts for or against. */
  readonly crowd: boolean;
  /** Pascal VOC's mark for what evaluation passes over. */
  readonly difficult: boolean;
  /** Pixels of the mask as annotated, else of the box. */
  readonly area: number;
  /** File and line or id, for reports. */
  readonly where: string;
}

/** What is known about a picture: objects, a file that holds each pixel's class, or one that is drawn of the objects. */
export interface Annotation {
  readonly objects: readonly AnnotatedObject[];
  /** Path of a PNG of stored class numbers, to be read with the data set's `coding`. */
  readonly classMask?: string;
  /** The picture's size as the annotation states it. */
  readonly size?: PictureSize;
  readonly where: string;
}

/** What COCO's files call a class. */
export type CategoryId = number | string;

export interface AnnotatedDataset extends Dataset<Annotation> {
  readonly classes: readonly string[];
  /** COCO's ids of the classes, where the data gives them. */
  readonly categoryIds?: readonly CategoryId[];
  /** For class masks: stored number → index of a class, IGNORE or UNKNOWN; 256 entries. */
  readonly coding: Uint8Array | undefined;
  /** For class masks that have been checked: pixels of each class in all of them. */
  readonly pixels?: readonly number[];
}

export type AnnotationFormat = 'coco' | 'voc' | 'yolo' | 'masks';

/** One annotated data set in parts. Classes and coding are shared. */
export interface AnnotatedSplits {
  readonly name: string;
  readonly format: AnnotationFormat;
  readonly classes: readonly string[];
  /** COCO's ids of the classes, where the data gives them. */
  readonly categoryIds?: readonly CategoryId[];
  readonly train: AnnotatedDataset;
  readonly val: AnnotatedDataset | undefined;
  readonly test: AnnotatedDataset | undefined;
  readonly valSource: 'val' | 'test' | 'held out' | 'none';
  /** What readers left out, and why. */
  readonly findings: readonly Finding[];
  readonly ignored: readonly IgnoredFile[];
}
