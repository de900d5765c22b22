import { encodePng } from '../../image/encode-png.ts';
import { readPictureSize } from '../../image/picture-size.ts';
import type { Sample } from '../dataset.ts';
import type { DataFiles } from '../files.ts';
import type { AnnotatedObject, Annotation } from './annotated.ts';
import { maskCoding } from './class-list.ts';
import { classesOfObjects } from './classes-of-objects.ts';
import type { Reading, Source } from './reading.ts';

/** Objects with masks as truth for segmentation, in the form of mask files. */
export interface DrawnMasks {
  /** The data's files, and beside them a PNG of class numbers for each picture, called as its annotation is. */
  readonly files: DataFiles;
  readonly reading: Reading;
}

/**
 * Makes masks of classes from objects (`classesOfObjects`). Classes are the objects' with the background before them, unless
 * the data has a category of that name. No mask exists before it is read. There is no `location`: threads are sent the
 * bytes, as they could not draw.
 */
export function drawnMasks({ files, decoder }: Source, reading: Reading): DrawnMasks {
  const named = reading.classes.findIndex((name) => /^_*(background|bg)_*$/i.test(name));
  const shift = named < 0 ? 1 : 0;
  const classes = named < 0 ? ['background', ...reading.classes] : reading.classes;
  const background = Math.max(0, named);
  const drawings = new Map<string, () => Promise<Uint8Array>>();
  const drawn = ({ path, target }: Sample<Annotation>): Sample<Annotation> => {
    const objects = target.objects.map(
      (one): AnnotatedObject => ({ ...one, category: one.category + shift }),
    );
    const classMask = target.where;
    drawings.set(classMask, async () => {
      const size = target.size ?? (await readPictureSize(await files.read(path), path, decoder));
      return encodePng({ ...classesOfObjects(objects, size, background), palette: greys });
    });
    return { path, target: { ...target, objects, classMask } };
  };
  const { samples, categoryIds: _, ...rest } = reading;
  const values = classes.map((_, index) => index);
  return {
    files: {
      name: files.name,
      list: files.list,
      read: (path) => drawings.get(path)?.() ?? files.read(path),
    },
    reading: {
      ...rest,
      classes,
      coding: maskCoding({ classes, values, ignored: [255] }),
      samples: Object.fromEntries(Object.entries(samples).map(([split, list]) => [split, list.map(drawn)])),
    },
  };
}

/** Whether any object has a mask to draw. */
export const hasObjectMasks = ({ samples }: Reading): boolean =>
  Object.values(samples).some((list) =>
    list.some(({ target }) => target.objects.some(({ mask }) => mask !== undefined)),
  );

const greys = Array.from({ length: 256 }, (_, level) => [level, level, level] as const);
