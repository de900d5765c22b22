import { DataError } from '../../errors.ts';
import type { ImageDecoder } from '../../image/codec.ts';
import { IGNORE, type IndexMap } from '../../image/index-map.ts';
import type { JointObject, JointSample } from '../../image/joint/joint-sample.ts';
import type { PictureSize } from '../../image/picture-size.ts';
import { decodePngIndices } from '../../image/png-indices.ts';
import { decodeMask, type MaskRle } from '../../metrics/detection/mask-rle.ts';
import { polygonMask } from '../../metrics/detection/polygon.ts';
import type { Sample } from '../dataset.ts';
import type { AnnotatedDataset, Annotation, ObjectMask } from './annotated.ts';
import { UNKNOWN } from './class-list.ts';
import { fitsPicture } from './fits-picture.ts';

export interface ReadJointOptions {
  /** Whether objects bring their masks; default false. */
  readonly objectMasks?: boolean;
}

/**
 * A sample's picture with its objects or class mask, as augmentation moves them. Numbers of a mask that are no class
 * are ignored.
 * @throws ImageError for files that cannot be decoded; DataError when a file is missing or a mask is of another size
 */
export async function readJointSample(
  { files, coding }: AnnotatedDataset,
  { path, target }: Sample<Annotation>,
  decoder: ImageDecoder,
  { objectMasks = false }: ReadJointOptions = {},
): Promise<JointSample> {
  const image = await decoder.decode(await files.read(path), { name: path });
  const objects = target.objects.map(({ category, box, crowd, mask, where }): JointObject => {
    const drawn = objectMasks && mask ? { mask: requireSize(drawMask(mask, image), image, where) } : {};
    return { category, box, crowd, ...drawn };
  });
  if (target.classMask === undefined) return { image, objects };
  const bytes = await files.read(target.classMask);
  return { image, objects, classMask: await readClassMask(bytes, coding, image, target.classMask) };
}

/**
 * A PNG of stored numbers → class of each pixel, or IGNORE where a number is no class.
 * @param size the mask must have, if known @param where names it in errors
 * @throws ImageError for what is no PNG; DataError for a mask of another size
 */
export async function readClassMask(
  bytes: Uint8Array,
  coding: Uint8Array | undefined,
  size: PictureSize | undefined,
  where: string,
): Promise<IndexMap> {
  const stored = await decodePngIndices(bytes);
  const { width, height, data } = size ? requireSize(stored, size, where) : stored;
  return { width, height, data: data.map((value) => codedClass(coding, value)) };
}

function codedClass(coding: Uint8Array | undefined, value: number): number {
  const index = coding ? (coding[value] ?? IGNORE) : value;
  return index === UNKNOWN ? IGNORE : index;
}

function requireSize(map: IndexMap, { width, height }: PictureSize, where: string): IndexMap {
  if (map.width === width && map.height === height) return map;
  throw new DataError(
    `${where}: the mask is ${map.width}×${map.height}, its picture ${width}×${height}; check the annotations first to leave it out.`,
    { path: where },
  );
}

/**
 * As runs, of a picture's size: what evaluation compares.
 * @throws DataError for a polygon that leaves the picture by far: drawing it would take forever
 */
export function maskRuns(mask: ObjectMask, size: PictureSize): MaskRle {
  if (mask.kind === 'rle') return mask.rle;
  if (fitsPicture(mask, size)) return polygonMask(mask.polygons, size.height, size.width);
  throw new DataError(
    `a polygon lies further outside its picture of ${size.width}×${size.height} than the picture is large.`,
  );
}

/** 1 where the object is. */
export function drawMask(mask: ObjectMask, size: PictureSize): IndexMap {
  const rle = maskRuns(mask, size);
  return { width: rle.width, height: rle.height, data: decodeMask(rle) };
}
