import { DataError } from '../../errors.ts';
import { encodePng } from '../../image/encode-png.ts';
import { deriveSeed } from '../../tensor/random.ts';
import type { DataFiles } from '../files.ts';
import { type ProceduralOptions, type ProceduralSet, proceduralSet } from './procedural-set.ts';

export interface ProceduralFilesOptions extends Omit<ProceduralOptions, 'count' | 'objects'> {
  /** How many pictures each part has. */
  readonly train: number;
  readonly val: number;
}

/**
 * Procedural scenes with one object each as a folder of class folders: `train/circle/000000.png`, …, `val/…`. No
 * picture exists before it is read. Parts have nothing in common.
 */
export function proceduralFiles(options: ProceduralFilesOptions): DataFiles {
  const { train, val, seed, ...rest } = options;
  const part = (count: number, stream: number): ProceduralSet =>
    proceduralSet({ ...rest, count, seed: deriveSeed(seed, stream) });
  const parts = { train: part(train, 0), val: part(val, 1) };
  const places = new Map<string, () => Promise<Uint8Array>>();
  const folders = new Set<string>();
  for (const [name, set] of Object.entries(parts)) {
    folders.add(name);
    for (const className of set.classNames) folders.add(`${name}/${className}`);
    for (let index = 0; index < set.length; index++) {
      const className = set.classNames[index % set.classNames.length];
      const file = `${name}/${className}/${String(index).padStart(6, '0')}.png`;
      places.set(file, () => encodePng(set.scene(index).image));
    }
  }
  const name = 'shapes';
  return {
    name,
    list: async () => ({ files: [...places.keys()].sort(), folders: [...folders].sort() }),
    read: async (path) => {
      const draw = places.get(path);
      if (draw) return draw();
      throw new DataError(`data "${name}": there is no file "${path}" among its ${places.size}.`, { path });
    },
  };
}
