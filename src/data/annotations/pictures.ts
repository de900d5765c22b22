import { type SplitName, splitName } from '../class-splits.ts';
import { isPictureName } from '../dataset.ts';

const maskFolder = /^(masks?|segmentationclass|segmentationobject|annotations?|labels?|.+annot)$/i;

/** Whether a path lies in a folder that holds masks rather than photos. */
export const isInMaskFolder = (path: string): boolean =>
  path
    .split('/')
    .slice(0, -1)
    .some((part) => maskFolder.test(part));

export const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/') + 1);
export const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
/** A file's name without folder and ending. */
export const stemOf = (path: string): string => baseName(path).replace(/\.[^.]*$/, '');

/** The part a path speaks of: `train/a.json`, `instances_val2017.json`, `trainannot/1.png`. The deepest counts. */
export function splitOfPath(path: string): SplitName | undefined {
  const words = path.split(/[/_.-]/).map((word) => word.replace(/\d+$/, '').replace(/annot$/, ''));
  return words.map(splitName).findLast((split) => split !== undefined);
}

/** Finds the picture that an annotation file names. */
export interface PictureFinder {
  /** By file name, with or without folders. @param near the annotation's path: the closest picture is taken */
  readonly byName: (name: string, near: string) => string | undefined;
  /** By name without ending. */
  readonly byStem: (stem: string, near: string) => string | undefined;
  readonly all: readonly string[];
}

export function pictureFinder(files: readonly string[]): PictureFinder {
  const all = files.filter((path) => isPictureName(path) && !isInMaskFolder(path));
  const [names, stems] = [grouped(all, baseName), grouped(all, stemOf)];
  return {
    all,
    byName: (name, near) => {
      const wanted = name.replaceAll('\\', '/').replace(/^\.\//, '');
      const found = names.get(baseName(wanted)) ?? [];
      const exact = found.filter((path) => path === wanted || path.endsWith(`/${wanted}`));
      return closest(exact.length > 0 ? exact : found, near);
    },
    byStem: (stem, near) => closest(stems.get(stem) ?? [], near),
  };
}

function grouped(paths: readonly string[], key: (path: string) => string): ReadonlyMap<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const path of paths) {
    const group = groups.get(key(path));
    if (group) group.push(path);
    else groups.set(key(path), [path]);
  }
  return groups;
}

/**
 * Of several, one of the same part; of these the one that shares most folders. A namesake in the folder of another part
 * is another picture: pictures of different parts are often numbered alike.
 */
function closest(paths: readonly string[], near: string): string | undefined {
  const split = splitOfPath(near);
  const folders = near.split('/');
  let best: { readonly path: string; readonly score: number } | undefined;
  for (const path of paths) {
    const own = splitOfPath(folderOf(path));
    if (split !== undefined && own !== undefined && own !== split) continue;
    const parts = path.split('/');
    const shared = folders.findIndex((folder, i) => folder !== parts[i]);
    const score = (split !== undefined && own === split ? 1000 : 0) + Math.max(0, shared);
    if (best === undefined || score > best.score) best = { path, score };
  }
  return best?.path;
}
