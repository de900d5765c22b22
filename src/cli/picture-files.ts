import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { glob, isDynamicPattern } from 'tinyglobby';

/** Endings that folders and globs are searched for; a file named outright may be called anything. */
const pictureEndings = /\.(jpe?g|jpe|jfif|png|webp|gif|avif|tiff?)$/i;

export interface PictureFiles {
  /** In the order of the arguments, sorted inside each, none twice. */
  readonly files: readonly string[];
  /** Arguments that gave nothing, each with the reason. */
  readonly faults: readonly string[];
}

/** Files as named, folders with everything below them, globs. */
export async function findPictures(places: readonly string[]): Promise<PictureFiles> {
  const files = new Set<string>();
  const faults: string[] = [];
  for (const place of places) {
    const found = await expand(place);
    if (typeof found === 'string') faults.push(`${place}: ${found}`);
    else for (const file of found) files.add(file);
  }
  return { files: [...files], faults };
}

async function expand(place: string): Promise<readonly string[] | string> {
  const facts = await stat(place).catch(() => undefined);
  if (facts?.isDirectory()) {
    const inside = await glob('**/*', { cwd: place, dot: false, expandDirectories: false });
    const pictures = inside.filter((name) => pictureEndings.test(name)).sort();
    if (pictures.length === 0) return 'the folder has no pictures in it';
    return pictures.map((name) => join(place, name));
  }
  if (facts) return [place];
  if (!isDynamicPattern(place)) return 'there is no such file or folder';
  // A glob's separator is "/" also where paths have "\".
  const found = await glob(process.platform === 'win32' ? place.replaceAll('\\', '/') : place, {
    expandDirectories: false,
  });
  const pictures = found.filter((name) => pictureEndings.test(name)).sort();
  return pictures.length === 0 ? 'matches no pictures' : pictures;
}
