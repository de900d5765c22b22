import type { Random } from '../../tensor/random.ts';
import { between } from '../random-crop.ts';
import { type JointBox, type JointSample, windowSample } from './joint-sample.ts';

/** SSD's crop: a part of the picture that overlaps some object enough. */
export interface IouCrop {
  /** Least IoU with some object, one of them drawn each time; from 1 on the whole picture is kept. */
  readonly leastIou: readonly number[];
  /** Share of each side. */
  readonly scale: readonly [least: number, most: number];
  /** Width over height of the result. */
  readonly ratio: readonly [least: number, most: number];
  /** Crops tried before another least IoU is drawn. */
  readonly tries: number;
}

/** torchvision's RandomIoUCrop, and mmdetection's MinIoURandomCrop for SSDLite. */
export const iouCrops = {
  torchvision: { leastIou: [0, 0.1, 0.3, 0.5, 0.7, 0.9, 1], scale: [0.3, 1], ratio: [0.5, 2], tries: 40 },
  mmdetection: { leastIou: [1, 0.1, 0.3, 0.5, 0.7, 0.9, 0], scale: [0.3, 1], ratio: [0.5, 2], tries: 50 },
} as const satisfies Readonly<Record<string, IouCrop>>;

/** Draws of a least IoU before the picture stays whole: a picture whose objects no crop fits must not hang a run. */
const draws = 50;

/**
 * Crops as torchvision's RandomIoUCrop: objects whose centre lies in the crop stay, cut to it; a crop without such an
 * object, or that overlaps none as much as drawn, is tried again. Crowds stay but do not decide. A picture without
 * objects stays whole.
 * @see torchvision references/detection/transforms.py; SSD, arXiv:1512.02325, 2.2
 */
export function randomIouCrop(sample: JointSample, crop: IouCrop, random: Random): JointSample {
  const { image } = sample;
  const deciding = sample.objects.filter(({ crowd }) => !crowd);
  for (let draw = 0; draw < draws && deciding.length > 0; draw++) {
    const least = crop.leastIou[random.integer(crop.leastIou.length)] ?? 1;
    if (least >= 1) return sample;
    for (let attempt = 0; attempt < crop.tries; attempt++) {
      const width = Math.trunc(image.width * between(random, crop.scale));
      const height = Math.trunc(image.height * between(random, crop.scale));
      const ratio = width / height;
      if (!(width > 0 && height > 0 && ratio >= crop.ratio[0] && ratio <= crop.ratio[1])) continue;
      const x = Math.trunc((image.width - width) * random.uniform());
      const y = Math.trunc((image.height - height) * random.uniform());
      const area: JointBox = [x, y, width, height];
      const centred = deciding.filter(({ box }) => hasCentreIn(box, area));
      if (!centred.some(({ box }) => iou(box, area) >= least)) continue;
      const objects = sample.objects.filter(({ box }) => hasCentreIn(box, area));
      return windowSample({ ...sample, objects }, { x, y, width, height }, [0, 0, 0]);
    }
  }
  return sample;
}

function hasCentreIn([x, y, width, height]: JointBox, [left, top, w, h]: JointBox): boolean {
  const [cx, cy] = [x + width / 2, y + height / 2];
  return cx > left && cx < left + w && cy > top && cy < top + h;
}

function iou(a: JointBox, b: JointBox): number {
  const width = Math.min(a[0] + a[2], b[0] + b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[1] + a[3], b[1] + b[3]) - Math.max(a[1], b[1]);
  if (width <= 0 || height <= 0) return 0;
  return (width * height) / (a[2] * a[3] + b[2] * b[3] - width * height);
}
