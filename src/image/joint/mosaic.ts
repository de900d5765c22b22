import type { Random } from '../../tensor/random.ts';
import { between } from '../random-crop.ts';
import type { JointObject, JointSample } from './joint-sample.ts';
import { type JointTarget, scaleAndCrop } from './place.ts';

/** Four pictures in one, around a point near the middle. */
export interface Mosaic {
  readonly chance: number;
  /** Size of each picture against the one that just covers its quarter; a random part of it is shown. */
  readonly scale: readonly [least: number, most: number];
}

/** Where the quarters may meet, as a share of each side. */
const middle = [0.3, 0.7] as const;

/**
 * Of the target's size: four pictures (left and right above, left and right below), each scaled and cut to its
 * quarter. @see YOLOv4, arXiv:2004.10934, 3.4
 */
export function mosaic(
  samples: readonly [JointSample, JointSample, JointSample, JointSample],
  scale: Mosaic['scale'],
  target: JointTarget,
  least: number,
  random: Random,
): JointSample {
  const { width, height } = target;
  const left = Math.max(1, Math.round(width * between(random, middle)));
  const top = Math.max(1, Math.round(height * between(random, middle)));
  const parts = samples.map((sample, i) => {
    const [x, w] = i % 2 === 0 ? [0, left] : [left, width - left];
    const [y, h] = i < 2 ? [0, top] : [top, height - top];
    const quarter = { ...target, width: w, height: h };
    return { x, y, sample: scaleAndCrop(sample, scale, 'cover', quarter, random, least) };
  });
  return joined(parts, width, height);
}

interface Part {
  readonly x: number;
  readonly y: number;
  readonly sample: JointSample;
}

/** Parts that together cover a picture. Objects keep no masks and class masks go: what is joined learns boxes. */
function joined(parts: readonly Part[], width: number, height: number): JointSample {
  const data = new Uint8Array(width * height * 3);
  for (const { x, y, sample } of parts) {
    const { width: w, height: h, data: from } = sample.image;
    for (let row = 0; row < h; row++)
      data.set(from.subarray(row * w * 3, (row + 1) * w * 3), ((y + row) * width + x) * 3);
  }
  const objects = parts.flatMap(({ x, y, sample }) =>
    sample.objects.map(
      ({ category, crowd, box: [left, top, w, h] }): JointObject => ({
        category,
        crowd,
        box: [left + x, top + y, w, h],
      }),
    ),
  );
  return { image: { width, height, data }, objects };
}
