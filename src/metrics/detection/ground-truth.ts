import { DataError } from '../../errors.ts';
import { type Box, boxIou } from './box.ts';
import { type MaskRle, maskArea, maskIou } from './mask-rle.ts';

/** An object in a picture. At least one of box and mask is there, as the measure asks. */
export interface DetectionTruth {
  readonly image: number | string;
  readonly category: number;
  readonly box?: Box;
  readonly mask?: MaskRle;
  /** Pixels; COCO's ranges of size go by it. */
  readonly area: number;
  /** Stands for many objects: detections in it count neither for nor against. */
  readonly crowd: boolean;
}

export interface Detection {
  readonly image: number | string;
  readonly category: number;
  readonly score: number;
  readonly box?: Box;
  readonly mask?: MaskRle;
  /** Pixels, for COCO's ranges of size; default that of the region measured. */
  readonly area?: number;
}

export type Measure = 'box' | 'mask';

interface Region {
  readonly image: number | string;
  readonly box?: Box;
  readonly mask?: MaskRle;
}

/** How two regions are compared, and how large one is. */
export interface MeasureRule {
  readonly iou: (detection: Region, truth: Region, crowd: boolean) => number;
  readonly area: (detection: Region) => number;
}

function need<T>(part: T | undefined, what: Measure, { image }: Region): T {
  if (part === undefined)
    throw new DataError(`detections of image ${image}: measure "${what}" needs a ${what}, found none.`);
  return part;
}

export const measures: { readonly [M in Measure]: MeasureRule } = {
  box: {
    iou: (a, b, crowd) => boxIou(need(a.box, 'box', a), need(b.box, 'box', b), crowd),
    area: (a) => need(a.box, 'box', a)[2] * need(a.box, 'box', a)[3],
  },
  mask: {
    iou: (a, b, crowd) => maskIou(need(a.mask, 'mask', a), need(b.mask, 'mask', b), crowd),
    area: (a) => maskArea(need(a.mask, 'mask', a)),
  },
};
