import { DataError } from '../../errors.ts';
import { encodePng } from '../../image/encode-png.ts';
import { deriveSeed } from '../../tensor/random.ts';
import type { DataFiles } from '../files.ts';
import { type ProceduralOptions, type ProceduralSet, proceduralSet } from './procedural-set.ts';

export interface AnnotatedFilesOptions extends Omit<ProceduralOptions, 'count'> {
  /** How many pictures each part has. */
  readonly train: number;
  readonly val: number;
  /** What is known of the pictures: boxes (COCO), or the class of each pixel (masks, ground being class 0). */
  readonly annotations: 'boxes' | 'masks';
}

/**
 * Procedural scenes with annotations, as a folder: `train/images/000000.png`, …, and `train/masks/000000.png` with
 * `classes.json`, or `train/boxes.json`. No file exists before it is read. Parts have nothing in common.
 */
export function annotatedFiles(options: AnnotatedFilesOptions): DataFiles {
  const { train, val, seed, annotations, ...rest } = options;
  const part = (count: number, stream: number): ProceduralSet =>
    proceduralSet({ ...rest, count, seed: deriveSeed(seed, stream) });
  const sets = { train: part(train, 0), val: part(val, 1) };
  const places = new Map<string, () => Promise<Uint8Array>>();
  const folders = new Set<string>();
  const text = (value: unknown): Promise<Uint8Array> =>
    Promise.resolve(new TextEncoder().encode(JSON.stringify(value)));
  for (const [name, set] of Object.entries(sets)) {
    folders.add(name).add(`${name}/images`);
    if (annotations === 'boxes') places.set(`${name}/boxes.json`, () => text(cocoOf(set)));
    else folders.add(`${name}/masks`);
    for (let index = 0; index < set.length; index++) {
      places.set(`${name}/images/${fileName(index)}`, () => encodePng(set.scene(index).image));
      if (annotations === 'masks')
        places.set(`${name}/masks/${fileName(index)}`, () => maskPng(set, index, rest));
    }
  }
  if (annotations === 'masks')
    places.set('classes.json', () => text({ classes: ['ground', ...sets.train.classNames] }));
  return {
    name: 'scenes',
    list: async () => ({ files: [...places.keys()].sort(), folders: [...folders].sort() }),
    read: async (path) => {
      const draw = places.get(path);
      if (draw) return draw();
      throw new DataError(`data "scenes": there is no file "${path}" among its ${places.size}.`, { path });
    },
  };
}

const fileName = (index: number): string => `${String(index).padStart(6, '0')}.png`;

/** Class numbers behind a palette of greys, so that the mask can be looked at. */
function maskPng(
  set: ProceduralSet,
  index: number,
  { width, height }: Pick<AnnotatedFilesOptions, 'width' | 'height'>,
): Promise<Uint8Array> {
  const count = set.classNames.length + 1;
  const palette = Array.from({ length: count }, (_, i) => {
    const level = Math.round((255 * i) / (count - 1));
    return [level, level, level] as const;
  });
  return encodePng({ width, height, data: set.scene(index).classMask, palette });
}

function cocoOf(set: ProceduralSet) {
  const scenes = Array.from({ length: set.length }, (_, index) => set.scene(index));
  const annotations = scenes.flatMap(({ objects }, index) =>
    objects.map(({ label, box, area }) => ({
      image_id: index + 1,
      category_id: label + 1,
      bbox: [box.x, box.y, box.width, box.height],
      area,
      iscrowd: 0,
    })),
  );
  return {
    categories: set.classNames.map((name, i) => ({ id: i + 1, name })),
    images: scenes.map(({ image: { width, height } }, index) => ({
      id: index + 1,
      file_name: fileName(index),
      width,
      height,
    })),
    annotations: annotations.map((one, i) => ({ id: i + 1, ...one })),
  };
}
