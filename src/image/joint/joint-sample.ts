import type { Colour } from '../affine.ts';
import { cropImage } from '../crop.ts';
import type { Image } from '../image.ts';
import { IGNORE, type IndexMap, resizeIndices } from '../index-map.ts';
import { applyOrientation } from '../orientation.ts';
import { type Interpolation, type Region, resizeImage } from '../resize.ts';

/** Left, top, width, height in pixels. */
export type JointBox = readonly [x: number, y: number, width: number, height: number];

/** An object that moves with its picture. */
export interface JointObject {
  readonly category: number;
  readonly box: JointBox;
  readonly crowd: boolean;
  /** 1 where the object is, of the picture's size. */
  readonly mask?: IndexMap;
}

/** A picture and what is known about it: everything of one size, moved together. */
export interface JointSample {
  readonly image: Image;
  readonly objects: readonly JointObject[];
  /** Class of each pixel, or IGNORE. */
  readonly classMask?: IndexMap;
}

/**
 * The part of a sample inside `region`; what of the region lies outside the picture is `fill`, IGNORE in class masks
 * and no object. Boxes are cut to the region and go when nothing, or less than a share `least`, is left of them; crowds
 * stay as long as anything is. Crop, pad and expand are all this.
 */
export function windowSample(sample: JointSample, region: Region, fill: Colour, least = 0): JointSample {
  const { x, y, width, height } = region;
  if (x === 0 && y === 0 && width === sample.image.width && height === sample.image.height) return sample;
  const objects = sample.objects.flatMap((object): JointObject[] => {
    const [bx, by, bw, bh] = object.box;
    const [left, top] = [Math.max(0, bx - x), Math.max(0, by - y)];
    const [right, bottom] = [Math.min(width, bx + bw - x), Math.min(height, by + bh - y)];
    if (!(right > left && bottom > top)) return [];
    if (!object.crowd && (right - left) * (bottom - top) < least * bw * bh) return [];
    const mask = object.mask && { mask: windowIndices(object.mask, region, 0) };
    return [{ ...object, box: [left, top, right - left, bottom - top], ...mask }];
  });
  const classMask = sample.classMask && { classMask: windowIndices(sample.classMask, region, IGNORE) };
  return { image: windowImage(sample.image, region, fill), objects, ...classMask };
}

function windowImage(image: Image, region: Region, fill: Colour): Image {
  const { x, y, width, height } = region;
  const inside = x >= 0 && y >= 0 && x + width <= image.width && y + height <= image.height;
  const cropped = cropImage(image, region);
  if (inside || fill.every((level) => level === 0)) return cropped;
  const { data } = cropped;
  for (let row = 0, o = 0; row < height; row++)
    for (let column = 0; column < width; column++, o += 3) {
      const [px, py] = [column + x, row + y];
      if (px >= 0 && py >= 0 && px < image.width && py < image.height) continue;
      data[o] = fill[0];
      data[o + 1] = fill[1];
      data[o + 2] = fill[2];
    }
  return cropped;
}

function windowIndices(map: IndexMap, { x, y, width, height }: Region, fill: number): IndexMap {
  const data = new Uint8Array(width * height).fill(fill);
  const [left, right] = [Math.max(0, x), Math.min(map.width, x + width)];
  if (left < right)
    for (let row = Math.max(0, y); row < Math.min(map.height, y + height); row++)
      data.set(
        map.data.subarray(row * map.width + left, row * map.width + right),
        (row - y) * width + left - x,
      );
  return { width, height, data };
}

const mirrored = 2;

/** Left becomes right. */
export function flipSample({ image, objects, classMask }: JointSample): JointSample {
  const { width } = image;
  return {
    image: applyOrientation(image, mirrored),
    objects: objects.map(({ box: [x, y, w, h], mask, ...object }) => ({
      ...object,
      box: [width - x - w, y, w, h],
      ...(mask && { mask: flipIndices(mask) }),
    })),
    ...(classMask && { classMask: flipIndices(classMask) }),
  };
}

function flipIndices({ width, height, data }: IndexMap): IndexMap {
  const flipped = new Uint8Array(data.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) flipped[y * width + x] = data[(y + 1) * width - 1 - x] ?? 0;
  return { width, height, data: flipped };
}

/** At another size: pictures by `interpolation` as Pillow does, masks by nearest neighbour, boxes by the factors. */
export function resizeSample(
  { image, objects, classMask }: JointSample,
  width: number,
  height: number,
  interpolation: Interpolation,
): JointSample {
  const [sx, sy] = [width / image.width, height / image.height];
  return {
    image: resizeImage(image, width, height, interpolation),
    objects: objects.map(({ box: [x, y, w, h], mask, ...object }) => ({
      ...object,
      box: [x * sx, y * sy, w * sx, h * sy],
      ...(mask && { mask: resizeIndices(mask, width, height) }),
    })),
    ...(classMask && { classMask: resizeIndices(classMask, width, height) }),
  };
}
